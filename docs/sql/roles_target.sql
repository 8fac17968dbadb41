-- Roles and grants that the runbook needs on the storage server. Nothing is taken from anyone.
-- Run by a superuser in psql, connected to the storage database; may be run again:
--   psql --dbname=storage --file=roles_target.sql
-- Then give both roles a password, with \password ROLE (nothing secret belongs on a command line), or a line in pg_hba.conf.
\set ON_ERROR_STOP on

-- CREATEDB: the restore drill.
SELECT format('CREATE ROLE %I %s', name, attributes)
  FROM (VALUES ('storage_service', 'LOGIN'), ('consolidation', 'LOGIN NOSUPERUSER CREATEDB')) AS wanted (name, attributes)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- To probe the fence as the Storage Service. The schemas and tables belong to `consolidation`, which creates them.
SELECT 'GRANT storage_service TO consolidation'
       || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END
\gexec
-- Names whoever holds the fence up, and sees how old every transaction is.
GRANT pg_read_all_stats TO consolidation;

-- CREATE: one schema for each migrated database, and `consolidation` for the journal and the fence.
SELECT format('GRANT CONNECT ON DATABASE %I TO storage_service', current_database()),
       format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO consolidation', current_database())
\gexec
