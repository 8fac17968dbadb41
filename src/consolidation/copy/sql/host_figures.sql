-- What the workers of every host have loaded for one database in one run.
-- run_id, database: the run.
SELECT split_part(worker, ':', 1) AS host, count(*)::int AS chunks, sum(rows)::bigint AS rows, sum(bytes)::bigint AS bytes
  FROM consolidation.chunk
 WHERE run_id = %(run_id)s AND database = %(database)s AND state = 'done'
 GROUP BY 1
 ORDER BY 1
