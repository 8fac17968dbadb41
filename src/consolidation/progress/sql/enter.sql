-- Keep how far a running phase has come; its end writes the phase's result over it.
-- positional: {"progress": ...} as JSON, run id, database, name of the phase.
UPDATE consolidation.phase
   SET result = coalesce(result, '{}') || %s::jsonb
 WHERE run_id = %s AND database = %s AND name = %s AND state = 'running'
