-- Tables of which every row is in the target, with the form that they were copied in.
-- run_id, database: the run; tables: text[], names to ask for.
SELECT l.table_name, l."binary"
  FROM consolidation.table_load l
 WHERE l.run_id = %(run_id)s AND l.database = %(database)s AND l.table_name = ANY (%(tables)s::text[])
   AND NOT EXISTS (SELECT FROM consolidation.chunk c
                    WHERE (c.run_id, c.database, c.table_name) = (l.run_id, l.database, l.table_name)
                      AND c.state = 'queued')
