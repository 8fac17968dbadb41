-- Roles and grants on the storage server: everything the runbook needs there, and nothing else.
-- Run by a superuser in psql, connected to any database of the server; may be run again:
--   psql --set=database=storage --file=roles_target.sql
-- Parameter: database = name of the storage database; it is created when missing.
-- Then give every role with LOGIN a password, with \password ROLE (nothing secret belongs on a command line).

SELECT format('CREATE ROLE %I %s', name, attributes)
FROM (VALUES ('storage_owner', 'NOLOGIN'),
             ('storage_service', 'LOGIN'),
             ('consolidation', 'LOGIN NOSUPERUSER CREATEDB')) AS wanted (name, attributes)  -- CREATEDB: restore drill
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

SELECT format('CREATE DATABASE %I OWNER storage_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec

-- To probe the fence as the Storage Service. The schemas and tables belong to `consolidation`, which creates them.
GRANT storage_service TO consolidation;
-- Names whoever holds the fence up, and sees how old every transaction is.
GRANT pg_read_all_stats TO consolidation;
-- Only where tables that lie in this database's schema public shall be moved: GRANT storage_owner TO consolidation;

REVOKE CONNECT, TEMPORARY ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO storage_service;
-- CREATE: one schema per migrated database, and `consolidation` for the journal and the fence.
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE :"database" TO consolidation;
