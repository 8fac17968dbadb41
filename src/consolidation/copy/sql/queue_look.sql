-- How far the copy of a run is: its state, what its coordinator has published, whether that one lives, chunks not loaded yet.
-- run_id, database: the run; space: first key of the advisory lock that the coordinator holds.
SELECT p.state, p.attempts AS attempt, q.lead, q.snapshot, q.packages,
       EXISTS (SELECT FROM pg_locks k
                WHERE k.pid = q.lead AND k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
                  AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND k.classid = %(space)s AND k.objid::bigint = hashtext(p.database)::bigint & 4294967295) AS is_led,
       (SELECT count(*)::int FROM consolidation.chunk c
         WHERE (c.run_id, c.database) = (p.run_id, p.database) AND c.state = 'queued') AS waiting
  FROM consolidation.phase p,
       jsonb_to_record(coalesce(p.result -> 'queue', '{}')) AS q (lead int, snapshot text, packages text)
 WHERE p.run_id = %(run_id)s AND p.database = %(database)s AND p.name = 'copy'
