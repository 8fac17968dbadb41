-- State of the newest run of one database that has ended.
-- database: its name.
SELECT d.state
  FROM consolidation.run_database d
  JOIN consolidation.run r ON r.id = d.run_id
 WHERE d.database = %(database)s AND d.state IN ('migrated', 'rolled_back')
 ORDER BY (to_jsonb(r) ->> 'number')::bigint DESC NULLS LAST, r.started_at DESC, r.id DESC
 LIMIT 1
