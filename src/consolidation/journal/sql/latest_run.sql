-- The newest run of one database: by number, a clock may go back. (Through JSON: a journal that was not upgraded yet
-- has no such column.)
-- database: its name.
SELECT r.id, d.database, d.state, r.operator, r.control, r.started_at
  FROM consolidation.run_database d
  JOIN consolidation.run r ON r.id = d.run_id
 WHERE d.database = %(database)s
 ORDER BY (to_jsonb(r) ->> 'number')::bigint DESC NULLS LAST, r.started_at DESC, r.id DESC
 LIMIT 1
