-- Bytes and rows of the chunks that were done in each of at most 60 equal stretches of the copy's time; "at" is its end.
-- positional: run id, database.
WITH done AS (
    SELECT bytes, rows, finished_at, finished_at - seconds * interval '1 second' AS started_at
      FROM consolidation.chunk
     WHERE run_id = %s AND database = %s AND state = 'done'
), span AS (
    SELECT min(started_at) AS start, greatest(extract(epoch FROM max(finished_at) - min(started_at)), 0.001) AS seconds
      FROM done
), numbered AS (
    SELECT least(59, floor(60 * extract(epoch FROM finished_at - start) / seconds))::int AS number, bytes, rows
      FROM done, span
)
SELECT (SELECT start + (number + 1) / 60.0 * seconds * interval '1 second' FROM span) AS at,
       (SELECT seconds / 60 FROM span)::float8 AS seconds,
       sum(bytes)::bigint AS bytes, sum(rows)::bigint AS rows
  FROM numbered
 GROUP BY number
 ORDER BY number
