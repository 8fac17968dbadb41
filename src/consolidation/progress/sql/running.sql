-- Rows and bytes of the COPYs under way into the tables of one database of the run (version 14 and later).
-- database: its name, which is its schema too.
SELECT c.relname::text AS "table", sum(p.tuples_processed)::bigint AS rows, sum(p.bytes_processed)::bigint AS bytes
  FROM pg_stat_progress_copy p
  JOIN pg_class c ON c.oid = p.relid
 WHERE p.datname = current_database() AND p.command = 'COPY FROM'
   AND c.relnamespace = to_regnamespace(quote_ident(%(database)s))
 GROUP BY c.relname
