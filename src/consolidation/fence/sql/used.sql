-- Whether any table of the database has a trigger of the fence, prepared ones included.
SELECT EXISTS (SELECT FROM pg_trigger WHERE tgfoid = to_regprocedure('consolidation.fence()'))
