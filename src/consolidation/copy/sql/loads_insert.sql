-- Begin the loads of tables.
-- run_id, database: the run; loads: JSON list of table_name, deferred definitions, binary, state of the source.
INSERT INTO consolidation.table_load (run_id, database, table_name, state, deferred, "binary", source_state)
SELECT %(run_id)s, %(database)s, l.table_name, 'loading', l.deferred, l."binary", l.source_state
  FROM jsonb_to_recordset(%(loads)s) AS l (table_name text, deferred jsonb, "binary" boolean, source_state text)
