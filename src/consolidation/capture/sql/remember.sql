-- What a round has brought, added to what is known of this way. Written after the destination's commit: a round whose
-- marks were not kept is done again, which changes nothing.
-- run_id, database, destination: the way; marks: jsonb, table -> mark; rounds, keys, rows, seconds: what has brought it.
INSERT INTO consolidation.follow AS f (run_id, database, destination, marks, rounds, keys, rows, last_seconds)
VALUES (%(run_id)s, %(database)s, %(destination)s, %(marks)s::jsonb, %(rounds)s, %(keys)s, %(rows)s, %(seconds)s)
    ON CONFLICT (run_id, database, destination) DO UPDATE
   SET marks = f.marks || excluded.marks,
       rounds = f.rounds + excluded.rounds,
       keys = f.keys + excluded.keys,
       rows = f.rows + excluded.rows,
       last_seconds = coalesce(excluded.last_seconds, f.last_seconds),
       changed_at = clock_timestamp()
