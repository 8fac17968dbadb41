-- Queue one chunk.
-- positional: run id, database, table, number, low, high, estimated bytes.
INSERT INTO consolidation.chunk (run_id, database, table_name, number, low, high, estimated_bytes)
VALUES (%s, %s, %s, %s, %s, %s, %s)
