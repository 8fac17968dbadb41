-- Sessions that hold a lock on some tables that readers or writers wait for, or wait for one.
-- oids: bigint[] of the tables.
SELECT l.pid, l.mode, count(*) AS tables, coalesce(max(a.usename::text), 'unknown') AS role
  FROM pg_locks l
  LEFT JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'relation'
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.relation::bigint = ANY (%(oids)s::bigint[])
   AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
   AND l.pid IS DISTINCT FROM pg_backend_pid()
   AND l.pid IS NOT NULL
 GROUP BY l.pid, l.mode
 ORDER BY l.pid
