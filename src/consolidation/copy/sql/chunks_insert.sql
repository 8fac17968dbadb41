-- Queue chunks.
-- run_id, database: the run; chunks: JSON list of table_name, number, low, high, estimated_bytes.
INSERT INTO consolidation.chunk (run_id, database, table_name, number, low, high, estimated_bytes)
SELECT %(run_id)s, %(database)s, c.table_name, c.number, c.low, c.high, c.estimated_bytes
  FROM jsonb_to_recordset(%(chunks)s) AS c (table_name text, number int, low text, high text, estimated_bytes bigint)
