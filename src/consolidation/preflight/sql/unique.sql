-- The column lists that one table's valid unique indexes enforce; without conditions and expressions.
-- oid: of the table.
SELECT (SELECT array_agg(a.attname::text)
          FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, ord)
          JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
         WHERE k.ord <= i.indnkeyatts) AS columns
  FROM pg_index i
 WHERE i.indrelid = %(oid)s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
