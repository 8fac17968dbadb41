-- Roles and grants of one service's database on a source server: everything the runbook needs there, and nothing else.
-- Run by a superuser in psql, connected to any database of the server; may be run again:
--   psql --set=service=campaign --file=roles_source.sql
-- Parameter: service = name of the service; its database has the same name and is created when missing.
-- Then give every role with LOGIN a password, with \password ROLE (nothing secret belongs on a command line).
-- A database that it has not made is refused: this script shuts everybody else out. docs/sql/roles_source.sql is the one
-- for a service that lives.
\set ON_ERROR_STOP on
SELECT set_config('demo.service', :'service', false) AS service_
\gset

DO $$
DECLARE
  wanted text := current_setting('demo.service');
BEGIN
  IF EXISTS (SELECT FROM pg_database WHERE datname = wanted AND pg_get_userbyid(datdba) <> wanted || '_owner') THEN
    RAISE 'database % is not the demo''s: this script would take CONNECT from PUBLIC and the schema public from its owner', wanted
      USING HINT = 'nothing was changed; docs/sql/roles_source.sql revokes nothing';
  END IF;
END $$;

SELECT format('CREATE ROLE %I %s', name, attributes)
FROM (VALUES (:'service' || '_owner', 'NOLOGIN'),
             (:'service' || '_app', 'LOGIN'),
             ('consolidation', 'LOGIN NOSUPERUSER CREATEDB'),     -- CREATEDB: to restore a lost database
             ('consolidation_reader', 'LOGIN')) AS wanted (name, attributes)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

SELECT :'service' || '_owner' AS owner, :'service' || '_app' AS app
\gset

SELECT format('CREATE DATABASE %I OWNER %I', :'service', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'service')
\gexec

-- The runbook acts as the owner (fence triggers, dump, swap by rename) and, to probe the fence, as the application.
GRANT :"owner", :"app" TO consolidation;
-- Names whoever holds the fence up, and sees how old every transaction is.
GRANT pg_read_all_stats TO consolidation, consolidation_reader;

REVOKE CONNECT, TEMPORARY ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"app", consolidation_reader;
-- CREATE: the schema `consolidation` that holds the fence.
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"service" TO consolidation;

\connect :"service"

ALTER SCHEMA public OWNER TO :"owner";
GRANT USAGE ON SCHEMA public TO :"app", consolidation_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"app";
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO :"app";
GRANT SELECT ON ALL TABLES IN SCHEMA public TO consolidation_reader;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO consolidation_reader;
-- The same for tables that the owner creates from now on.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT ON TABLES TO consolidation_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT ON SEQUENCES TO consolidation_reader;
