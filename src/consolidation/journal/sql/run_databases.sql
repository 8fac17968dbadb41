-- All databases of one run, whether a process works on each of them right now, and the server's version.
-- run: its id; space: first key of the advisory locks.
SELECT d.database, d.state, d.changed_at, r.version AS runbook_version, current_setting('server_version') AS target_version,
       EXISTS (SELECT FROM pg_locks l
                WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND l.classid = %(space)s AND l.objid::bigint = hashtext(d.database)::bigint & 4294967295) AS active
  FROM consolidation.run_database d
  JOIN consolidation.run r ON r.id = d.run_id
 WHERE d.run_id = %(run)s
 ORDER BY d.database
