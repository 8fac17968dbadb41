-- Note that a phase is done, without an attempt at it; what its result had stays.
-- positional: run id, database, name of the phase, JSON to add to its result.
INSERT INTO consolidation.phase AS p (run_id, database, name, state, started_at, finished_at, result)
VALUES (%s, %s, %s, 'done', clock_timestamp(), clock_timestamp(), %s)
ON CONFLICT (run_id, database, name) DO UPDATE
   SET state = 'done', error = NULL,
       -- One that is done already did not take longer for what is noted of it later.
       finished_at = CASE p.state WHEN 'done' THEN p.finished_at ELSE clock_timestamp() END,
       result = coalesce(p.result, '{}') || excluded.result
