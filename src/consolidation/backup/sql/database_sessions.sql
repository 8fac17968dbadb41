-- Client sessions on one database; `ours` are those of the runbook itself.
-- database: its name.
SELECT a.pid, a.usename AS role, a.application_name AS application, a.backend_start::text AS since,
       coalesce(a.usename = current_user AND a.application_name LIKE 'consolidation %%', false) AS ours
  FROM pg_stat_activity a
 WHERE a.datname = %(database)s
   AND a.pid <> pg_backend_pid()
   AND coalesce(a.backend_type, 'client backend') = 'client backend'
 ORDER BY a.pid
