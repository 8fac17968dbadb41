-- Statements that give one role what it lacks on one target schema; {schema}, {role}, {journal}, {versions} are filled in later.
-- schema: name of the schema; role: name of the role.
SELECT statement
  FROM (VALUES
    (1, 'GRANT USAGE ON SCHEMA {schema} TO {role}',
        CASE WHEN to_regnamespace(quote_ident(%(schema)s)) IS NULL THEN true
             ELSE NOT has_schema_privilege(%(role)s, to_regnamespace(quote_ident(%(schema)s))::oid, 'USAGE') END),
    (2, 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}',
        to_regnamespace(quote_ident(%(schema)s)) IS NULL OR EXISTS (
          SELECT FROM pg_class c
           WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relkind IN ('r', 'p')
             AND NOT (has_table_privilege(%(role)s, c.oid, 'SELECT') AND has_table_privilege(%(role)s, c.oid, 'INSERT')
                  AND has_table_privilege(%(role)s, c.oid, 'UPDATE') AND has_table_privilege(%(role)s, c.oid, 'DELETE')))),
    (3, 'GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}',
        EXISTS (
          SELECT FROM pg_class c
           WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
             -- No plan may ask it of a table.
             AND CASE c.relkind WHEN 'S' THEN NOT (has_sequence_privilege(%(role)s, c.oid, 'USAGE')
                                                   AND has_sequence_privilege(%(role)s, c.oid, 'UPDATE')) END)),
    -- The Storage Service's readiness check compares the heads.
    (4, 'GRANT USAGE ON SCHEMA {journal} TO {role}',
        CASE WHEN to_regnamespace('consolidation') IS NULL THEN true
             ELSE NOT has_schema_privilege(%(role)s, to_regnamespace('consolidation')::oid, 'USAGE') END),
    (5, 'GRANT SELECT ON {versions} TO {role}',
        CASE WHEN to_regclass('consolidation.alembic_version') IS NULL THEN true
             ELSE NOT has_table_privilege(%(role)s, to_regclass('consolidation.alembic_version')::oid, 'SELECT') END)
  ) AS wanted (place, statement, lacking)
 WHERE lacking
 ORDER BY place
