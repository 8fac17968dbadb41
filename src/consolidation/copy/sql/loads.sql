-- The table loads of one database in one run.
-- positional: run id, database.
SELECT table_name, state, deferred, "binary", source_state
  FROM consolidation.table_load
 WHERE run_id = %s AND database = %s
 ORDER BY table_name
