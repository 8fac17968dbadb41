-- How far each table of a run's database is loaded.
-- run: its id; database: its name.
SELECT l.table_name AS name, l.state, l.source_rows, l.started_at, l.finished_at,
       count(c.number) AS chunks, count(c.number) FILTER (WHERE c.state = 'done') AS chunks_done,
       sum(c.rows)::bigint AS rows, sum(c.bytes)::bigint AS bytes, sum(c.seconds)::float8 AS seconds
  FROM consolidation.table_load l
  LEFT JOIN consolidation.chunk c USING (run_id, database, table_name)
 WHERE l.run_id = %(run)s AND l.database = %(database)s
 GROUP BY l.table_name, l.state, l.source_rows, l.started_at, l.finished_at
 ORDER BY l.table_name
