-- What left the source for every table that a run has loaded whole: all chunks done, as many rows as count(*) found.
-- run_id, database: the run; fence_epoch: the closing of its fence. A load behind an earlier one does not count.
-- reread: what was read of it when it was loaded; through JSON, an older journal has no such column.
SELECT l.table_name, l."binary", to_jsonb(l) -> 'reread' AS reread,
       sum(c.rows)::bigint AS rows, sum(c.bytes)::bigint AS bytes, mod(sum(c.digest), 340282366920938463463374607431768211456) AS digest
  FROM consolidation.table_load l
  JOIN consolidation.chunk c USING (run_id, database, table_name)
 WHERE l.run_id = %(run_id)s AND l.database = %(database)s AND l.state = 'done'
   AND l.fence_epoch = %(fence_epoch)s
 GROUP BY l.table_name, l."binary", l.source_rows, to_jsonb(l) -> 'reread'
HAVING bool_and(c.state = 'done') AND bool_and(c.digest IS NOT NULL) AND sum(c.rows) = l.source_rows
