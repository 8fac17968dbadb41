-- Keep count(*) of the source with every table's load; returns the rows of its chunks.
-- run_id, database: the run; counted: JSON object, table -> rows.
UPDATE consolidation.table_load AS l
   SET source_rows = s.rows::bigint
  FROM jsonb_each_text(%(counted)s) AS s (table_name, rows)
 WHERE l.run_id = %(run_id)s AND l.database = %(database)s AND l.table_name = s.table_name
RETURNING l.table_name, (SELECT coalesce(sum(c.rows), 0)::bigint FROM consolidation.chunk c
                          WHERE (c.run_id, c.database, c.table_name) = (l.run_id, l.database, l.table_name)) AS arrived
