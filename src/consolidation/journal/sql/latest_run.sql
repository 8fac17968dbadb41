-- The newest run of one database.
-- database: its name.
SELECT r.id, d.database, d.state, r.operator, r.control, r.started_at
  FROM consolidation.run_database d
  JOIN consolidation.run r ON r.id = d.run_id
 WHERE d.database = %(database)s
 ORDER BY r.started_at DESC, r.id DESC
 LIMIT 1
