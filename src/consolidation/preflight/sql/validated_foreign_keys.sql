-- Validated foreign keys of one table: referenced schema and table, both sides' columns, whether MATCH FULL.
-- oid: of the table.
SELECT n.nspname,
       f.relname AS parent,
       (SELECT array_agg(a.attname::text ORDER BY k.ord)
          FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum) AS columns,
       (SELECT array_agg(a.attname::text ORDER BY k.ord)
          FROM unnest(con.confkey) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.attnum) AS referenced,
       con.confmatchtype = 'f' AS is_full
  FROM pg_constraint con
  JOIN pg_class f ON f.oid = con.confrelid
  JOIN pg_namespace n ON n.oid = f.relnamespace
 WHERE con.conrelid = %(oid)s AND con.contype = 'f' AND con.convalidated
