-- Who holds the advisory lock of one database.
-- space: first key of the lock; database: its name.
SELECT a.pid, a.usename, coalesce(host(a.client_addr), 'a local socket'), a.backend_start
  FROM pg_locks l
  JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.classid = %(space)s AND l.objid::bigint = hashtext(%(database)s)::bigint & 4294967295
