-- Columns and referenced table of one table's validated foreign keys.
-- oid: of the table.
SELECT (SELECT array_agg(a.attname::text ORDER BY k.ord)
          FROM unnest(con.conkey) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum) AS columns,
       f.relname AS parent
  FROM pg_constraint con
  JOIN pg_class f ON f.oid = con.confrelid
 WHERE con.conrelid = %(oid)s AND con.contype = 'f' AND con.convalidated
