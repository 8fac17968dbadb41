-- Keep count(*) of the source with a table's load; returns the rows of its chunks.
-- positional: rows, run id, database, table.
UPDATE consolidation.table_load AS l
   SET source_rows = %s
 WHERE l.run_id = %s AND l.database = %s AND l.table_name = %s
RETURNING (SELECT coalesce(sum(c.rows), 0)::bigint FROM consolidation.chunk c
            WHERE (c.run_id, c.database, c.table_name) = (l.run_id, l.database, l.table_name))
