-- Transactions that hold locks on some tables, or wait for one before which no one else is let in; oldest first.
-- Autovacuum has no user: its kind and its work name it.
-- oids: bigint[] of the tables, NULL for all; harmless: text[] of lock modes that are not in the way.
SELECT l.pid,
       coalesce(a.usename::text, a.backend_type, 'unknown') AS role,
       coalesce(nullif(a.application_name, ''), CASE WHEN a.backend_type <> 'client backend' THEN a.query END,
                'unnamed') AS application,
       coalesce(a.state, CASE WHEN l.pid IS NULL THEN 'prepared transaction' ELSE 'unknown' END) AS state,
       round(extract(epoch FROM clock_timestamp() - a.xact_start))::bigint AS age_seconds,
       bool_or(l.granted) AS granted,
       min(l.mode) AS mode,
       min(l.relation::regclass::text) AS relation,
       count(DISTINCT l.relation) - 1 AS others
  FROM pg_locks l
  LEFT JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'relation' AND (l.granted OR l.mode = 'AccessExclusiveLock')
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (%(oids)s::bigint[] IS NULL OR l.relation::bigint = ANY (%(oids)s::bigint[]))
   AND l.mode <> ALL (%(harmless)s::text[])
   AND l.pid IS DISTINCT FROM pg_backend_pid()
 GROUP BY l.pid, l.virtualtransaction, a.usename, a.application_name, a.backend_type, a.query, a.state, a.xact_start
 ORDER BY granted DESC, age_seconds DESC NULLS FIRST
