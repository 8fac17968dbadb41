-- The table loads of one database in one run, the largest first. Through JSON: a journal that was not upgraded yet has no
-- such columns.
-- positional: run id, database.
SELECT l.table_name, l.state, l.deferred, l."binary",
       to_jsonb(l) -> 'reread' AS reread, to_jsonb(l) ->> 'fence_epoch' AS fence_epoch, (to_jsonb(l) ->> 'source_filenode')::bigint AS source_filenode
  FROM consolidation.table_load l
  LEFT JOIN (SELECT c.run_id, c.database, c.table_name, sum(c.estimated_bytes) AS bytes
               FROM consolidation.chunk c GROUP BY 1, 2, 3) AS s USING (run_id, database, table_name)
 WHERE l.run_id = %s AND l.database = %s
 ORDER BY s.bytes DESC NULLS LAST, l.table_name
