-- Roles and grants that the runbook needs on the server of a service's database. The service goes on as it is: nothing is
-- taken from anyone, no owner changes.
-- Run by a superuser in psql, connected to the service's database; may be run again:
--   psql --dbname=inventory --set=schema=public --set=application_roles=inventory_user,inventory_jobs --file=roles_source.sql
-- Parameters: schema = the one with the service's tables (public); application_roles = those that the service logs in with,
-- separated by commas. The owners of the tables are read from the catalog.
-- Then give consolidation and consolidation_reader a password, with \password ROLE (nothing secret belongs on a command
-- line), or a line in pg_hba.conf.
\set ON_ERROR_STOP on
\if :{?schema}
\else
  \set schema public
\endif

SELECT set_config('runbook.schema', :'schema', false) AS schema_,
       set_config('runbook.application_roles', :'application_roles', false) AS roles_
\gset

DO $$
DECLARE
  wanted text := current_setting('runbook.schema');
  missing text;
BEGIN
  IF to_regnamespace(quote_ident(wanted)) IS NULL THEN
    RAISE 'database % has no schema %', current_database(), wanted;
  END IF;
  SELECT string_agg(name, ', ') INTO missing
    FROM unnest(string_to_array(current_setting('runbook.application_roles'), ',')) AS name
   WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name);
  IF missing IS NOT NULL THEN
    RAISE 'no such role: %', missing USING HINT = 'see usename in pg_stat_activity for those that the service logs in with';
  END IF;
  SELECT string_agg(DISTINCT r.rolname, ', ') INTO missing
    FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
   WHERE c.relnamespace = to_regnamespace(quote_ident(wanted))::oid AND c.relkind IN ('r', 'p') AND r.rolsuper
     AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e');
  IF missing IS NOT NULL THEN
    RAISE WARNING 'tables of % belong to %, a superuser: the runbook must not become one', wanted, missing
      USING HINT = 'preflight''s finding source.role.cannot_fence has the statements that give them another owner';
  END IF;
END $$;

-- CREATEDB: to restore a lost database.
SELECT format('CREATE ROLE %I %s', name, attributes)
  FROM (VALUES ('consolidation', 'LOGIN NOSUPERUSER CREATEDB'), ('consolidation_reader', 'LOGIN')) AS wanted (name, attributes)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- The runbook acts as the tables' owner (fence triggers, dump, rollback) and, to probe the fence, as the application.
SELECT format('GRANT %I TO consolidation%s', rolname,
              CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END)
  FROM pg_roles
 WHERE NOT rolsuper AND rolname <> 'consolidation'
   AND (rolname = ANY (string_to_array(:'application_roles', ','))
        OR oid IN (SELECT c.relowner FROM pg_class c
                    WHERE c.relnamespace = to_regnamespace(quote_ident(:'schema'))::oid AND c.relkind IN ('r', 'p', 'S')))
\gexec

-- Names whoever holds the fence up, and sees how old every transaction is.
GRANT pg_read_all_stats TO consolidation, consolidation_reader;
-- CREATE: the schema `consolidation` that holds the fence.
SELECT format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO consolidation', current_database()),
       format('GRANT CONNECT ON DATABASE %I TO consolidation_reader', current_database())
\gexec

-- The backup holds the whole database; the reader looks at the service's schema.
SELECT format(statement, nspname, role)
  FROM pg_namespace
 CROSS JOIN (VALUES ('consolidation'), ('consolidation_reader')) AS r (role)
 CROSS JOIN (VALUES (1, 'GRANT USAGE ON SCHEMA %1$I TO %2$I'), (2, 'GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO %2$I'),
                    (3, 'GRANT SELECT ON ALL SEQUENCES IN SCHEMA %1$I TO %2$I')) AS s (place, statement)
 WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'consolidation')
   AND (role = 'consolidation' OR nspname = :'schema')
 ORDER BY nspname, role, place
\gexec

-- The same for what the owners create from now on.
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON %s TO consolidation, consolidation_reader',
              owner, :'schema', sort)
  FROM (SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class
         WHERE relnamespace = to_regnamespace(quote_ident(:'schema'))::oid AND relkind IN ('r', 'p')) AS owners
 CROSS JOIN (VALUES ('TABLES'), ('SEQUENCES')) AS s (sort)
\gexec

-- Row security would hide rows from the backup and the copy.
SELECT 'ALTER ROLE consolidation BYPASSRLS'
 WHERE EXISTS (SELECT FROM pg_class WHERE relrowsecurity)
\gexec
