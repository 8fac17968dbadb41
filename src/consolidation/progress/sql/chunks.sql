-- How far the tables of one database in one run are loaded: rows and bytes of the chunks that are done; done_bytes,
-- waiting and weight are estimates of what is done, is not, and of the whole, in bytes on disk.
-- run_id, database: the run.
SELECT l.table_name AS "table",
       CASE l.state WHEN 'loading' THEN 'keys and indexes' WHEN 'restoring' THEN 'foreign keys' ELSE 'done' END AS state,
       coalesce(sum(c.rows), 0)::bigint AS rows,
       coalesce(sum(c.bytes), 0)::bigint AS bytes,
       coalesce(sum(greatest(c.estimated_bytes, 1)) FILTER (WHERE c.state = 'done'), 0)::bigint AS done_bytes,
       coalesce(sum(greatest(c.estimated_bytes, 1)) FILTER (WHERE c.state <> 'done'), 0)::bigint AS waiting,
       coalesce(sum(greatest(c.estimated_bytes, 1)), 0)::bigint AS weight
  FROM consolidation.table_load l
  LEFT JOIN consolidation.chunk c USING (run_id, database, table_name)
 WHERE l.run_id = %(run_id)s AND l.database = %(database)s
 GROUP BY l.table_name, l.state
 ORDER BY weight DESC, l.table_name
