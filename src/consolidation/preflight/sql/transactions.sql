-- Transactions of this database that have been open for long, oldest first.
-- seconds: what is long.
SELECT pid,
       coalesce(usename, 'unknown') AS role,
       coalesce(nullif(application_name, ''), 'unnamed') AS application,
       coalesce(state, backend_type) AS state,
       extract(epoch FROM clock_timestamp() - xact_start)::float AS age_seconds
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
   AND xact_start < clock_timestamp() - make_interval(secs => %(seconds)s)
 ORDER BY xact_start
