-- Begin the load of one table.
-- positional: run id, database, table, deferred definitions (JSON), binary, state of the source.
INSERT INTO consolidation.table_load (run_id, database, table_name, state, deferred, "binary", source_state)
VALUES (%s, %s, %s, 'loading', %s, %s, %s)
