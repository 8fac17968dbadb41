-- Forget a load with its chunks.
-- positional: run id, database, table.
DELETE FROM consolidation.table_load WHERE run_id = %s AND database = %s AND table_name = %s
