-- What rows a table holds, by the transactions that wrote them. PostgreSQL never changes a row in place: who inserts or
-- updates one leaves the number of another transaction, who deletes one leaves a row less, whatever trigger or role let
-- him. So the rows are the same as long as this is, in the same file; of the same server since its start: a crash or a
-- failover may have lost some.
-- Placeholder: table.
SELECT extract(epoch FROM pg_postmaster_start_time()) || ' '
         || coalesce(md5(string_agg(concat_ws(' ', writer, rows), ',' ORDER BY writer::text)), '')
  FROM (SELECT xmin AS writer, count(*) AS rows FROM ONLY {table} GROUP BY xmin) AS written
