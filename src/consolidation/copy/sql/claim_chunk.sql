-- Take the largest chunk that is not loaded; it stays locked until this transaction ends.
-- With SKIP LOCKED added: one that no one works on. Without: waits for those who do, and takes what they leave behind.
-- run_id, database: the run.
SELECT c.table_name, c.number, c.low, c.high, l."binary"
  FROM consolidation.chunk c
  JOIN consolidation.table_load l USING (run_id, database, table_name)
 WHERE c.run_id = %(run_id)s AND c.database = %(database)s AND c.state = 'queued' AND l.state = 'loading'
 ORDER BY c.estimated_bytes DESC, c.table_name, c.number
 LIMIT 1
   FOR UPDATE OF c
