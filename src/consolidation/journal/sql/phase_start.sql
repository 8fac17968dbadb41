-- Note that a phase begins (again); returns the result of the time before, if there was one,
-- without what an attempt that was killed has said of itself while it worked. Its start is that of this attempt: what
-- is between two attempts is no work.
-- positional: run id, database, name of the phase.
INSERT INTO consolidation.phase (run_id, database, name, state, started_at)
VALUES (%s, %s, %s, 'running', clock_timestamp())
ON CONFLICT (run_id, database, name) DO UPDATE
   SET state = 'running', attempts = phase.attempts + 1, started_at = EXCLUDED.started_at, finished_at = NULL,
       error = NULL,
       result = phase.result - 'progress' - 'queue'
RETURNING result
