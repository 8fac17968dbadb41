-- Rows, bytes and times of the tables of one database in one run; seconds from the first chunk's start to the last's end.
-- positional: run id, database.
SELECT l.table_name AS name, l.state, l."binary",
       count(c.number)::int AS chunks,
       coalesce(sum(c.rows), 0)::bigint AS rows,
       coalesce(sum(c.bytes), 0)::bigint AS bytes,
       coalesce(extract(epoch FROM max(c.finished_at) - min(c.finished_at - c.seconds * interval '1 second')), 0)::float8
         AS seconds
  FROM consolidation.table_load l
  LEFT JOIN consolidation.chunk c USING (run_id, database, table_name)
 WHERE l.run_id = %s AND l.database = %s
 GROUP BY l.table_name, l.state, l."binary"
 ORDER BY l.table_name
