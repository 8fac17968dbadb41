-- Transactions that hold locks on some tables, oldest first. Autovacuum has no user: its kind and its work name it.
-- oids: bigint[] of the tables; harmless: text[] of lock modes that are not in the way.
SELECT DISTINCT l.pid,
       coalesce(a.usename::text, a.backend_type, 'unknown') AS role,
       coalesce(nullif(a.application_name, ''), CASE WHEN a.backend_type <> 'client backend' THEN a.query END,
                'unnamed') AS application,
       coalesce(a.state, CASE WHEN l.pid IS NULL THEN 'prepared transaction' ELSE 'unknown' END) AS state,
       round(extract(epoch FROM clock_timestamp() - a.xact_start))::bigint AS age_seconds
  FROM pg_locks l
  LEFT JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'relation' AND l.granted
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.relation::bigint = ANY (%(oids)s)
   AND l.mode <> ALL (%(harmless)s::text[])
   AND l.pid IS DISTINCT FROM pg_backend_pid()
 ORDER BY age_seconds DESC NULLS FIRST
