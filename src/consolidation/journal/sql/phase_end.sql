-- Note how a phase has ended. What it has noted as done itself, in one transaction with what follows from it, no later
-- error undoes.
-- state, result, error: how it ended; run, database, phase: its place.
UPDATE consolidation.phase
   SET state = CASE state WHEN 'done' THEN 'done' ELSE %(state)s END,
       error = CASE state WHEN 'done' THEN NULL ELSE %(error)s END,
       result = %(result)s, finished_at = clock_timestamp()
 WHERE run_id = %(run)s AND database = %(database)s AND name = %(phase)s
