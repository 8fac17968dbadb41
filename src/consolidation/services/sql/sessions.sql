-- Sessions of a service on the current database.
-- roles: names of the roles it logs in with.
SELECT pid, usename AS role, application_name AS application, coalesce(host(client_addr), 'a local socket') AS address
  FROM pg_stat_activity
 WHERE datname = current_database() AND usename = ANY (%(roles)s) AND pid <> pg_backend_pid()
   AND coalesce(application_name, '') NOT LIKE 'consolidation %%'
 ORDER BY backend_start, pid
