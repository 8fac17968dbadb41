-- What a round has brought, added to what is known of this way. Written after the destination's commit: a round whose
-- marks were not kept is done again, which changes nothing.
-- run_id, database, destination: the way; marks: jsonb, table -> mark; keys, rows, seconds: of the round.
INSERT INTO consolidation.follow AS f (run_id, database, destination, marks, rounds, keys, rows, last_seconds)
VALUES (%(run_id)s, %(database)s, %(destination)s, %(marks)s::jsonb, 1, %(keys)s, %(rows)s, %(seconds)s)
    ON CONFLICT (run_id, database, destination) DO UPDATE
   SET marks = f.marks || excluded.marks,
       rounds = f.rounds + 1,
       keys = f.keys + excluded.keys,
       rows = f.rows + excluded.rows,
       last_seconds = excluded.last_seconds,
       changed_at = clock_timestamp()
