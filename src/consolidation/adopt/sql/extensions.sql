-- Extensions of this database, as CREATE EXTENSION takes them.
-- No parameters.
SELECT quote_ident(extname) || ' SCHEMA ' || extnamespace::regnamespace FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1
