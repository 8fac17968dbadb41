-- The table loads of one database in one run. Through JSON: a journal that was not upgraded yet has no such columns.
-- positional: run id, database.
SELECT l.table_name, l.state, l.deferred, l."binary",
       to_jsonb(l) -> 'reread' AS reread, to_jsonb(l) ->> 'fence_epoch' AS fence_epoch, (to_jsonb(l) ->> 'source_filenode')::bigint AS source_filenode
  FROM consolidation.table_load l
 WHERE l.run_id = %s AND l.database = %s
 ORDER BY l.table_name
