-- Bytes and rows that were loaded in each of 60 equal stretches of the copy's time; "at" is its end. A chunk counts in each
-- stretch by the share of its time in it: by its end alone, a long one would be a peak that no line could carry.
-- positional: run id, database.
WITH done AS (
    SELECT bytes, rows, finished_at, finished_at - seconds * interval '1 second' AS started_at
      FROM consolidation.chunk
     WHERE run_id = %s AND database = %s AND state = 'done'
), span AS (
    SELECT min(started_at) AS start,
           greatest(extract(epoch FROM max(finished_at) - min(started_at)), 0.001) / 60 AS stretch
      FROM done
), placed AS (
    SELECT bytes, rows, stretch,
           extract(epoch FROM started_at - start) AS first_second, extract(epoch FROM finished_at - start) AS last_second
      FROM done, span
), spread AS (
    SELECT number, bytes, rows,
           CASE WHEN last_second > first_second
                THEN (least(last_second, (number + 1) * stretch) - greatest(first_second, number * stretch))
                     / (last_second - first_second)
                ELSE 1 END AS share
      FROM placed, generate_series(least(59, floor(first_second / stretch))::int,
                                   least(59, floor(last_second / stretch))::int) AS number
)
SELECT (SELECT start + (number + 1) * stretch * interval '1 second' FROM span) AS at,
       (SELECT stretch FROM span)::float8 AS seconds,
       round(sum(bytes * share))::bigint AS bytes, round(sum(rows * share))::bigint AS rows
  FROM spread
 GROUP BY number
 ORDER BY number
