-- Begin the loads of tables.
-- run_id, database: the run; loads: JSON list of table_name, deferred definitions, binary, fence_epoch, source_filenode.
INSERT INTO consolidation.table_load
       (run_id, database, table_name, state, deferred, "binary", fence_epoch, source_filenode)
SELECT %(run_id)s, %(database)s, l.table_name, 'loading', l.deferred, l."binary", l.fence_epoch, l.source_filenode
  FROM jsonb_to_recordset(%(loads)s)
    AS l (table_name text, deferred jsonb, "binary" boolean, fence_epoch text, source_filenode bigint)
