-- Foreign keys that are about to stand aside, by the statements that validate them again. Written before the
-- destination's commit: validating one that is valid changes nothing.
-- run_id, database, destination: the way; statements: jsonb array.
INSERT INTO consolidation.follow AS f (run_id, database, destination, to_validate)
VALUES (%(run_id)s, %(database)s, %(destination)s, %(statements)s::jsonb)
    ON CONFLICT (run_id, database, destination) DO UPDATE
   SET to_validate = (SELECT jsonb_agg(DISTINCT statement)
                        FROM jsonb_array_elements(f.to_validate || excluded.to_validate) AS statement)
