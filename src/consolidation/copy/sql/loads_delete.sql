-- Forget loads with their chunks.
-- run_id, database: the run; tables: text[] of their names.
DELETE FROM consolidation.table_load
 WHERE run_id = %(run_id)s AND database = %(database)s AND table_name = ANY (%(tables)s::text[])
