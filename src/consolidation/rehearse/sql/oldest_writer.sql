-- Seconds since the oldest transaction that has written began, ours left out: so long a fence would have waited for it.
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
  FROM pg_stat_activity
 WHERE datname = current_database() AND backend_xid IS NOT NULL
   AND application_name NOT LIKE 'consolidation %'
