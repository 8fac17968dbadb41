-- Columns of a table whose values may be long enough to lie outside its rows, each with the type below its domains.
-- oid: bigint, of the table.
WITH RECURSIVE below (attnum, oid) AS (
    SELECT a.attnum, a.atttypid
      FROM pg_attribute a
     WHERE a.attrelid::bigint = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
       AND a.attlen = -1 AND a.attstorage <> 'p'
    UNION ALL
    SELECT below.attnum, t.typbasetype FROM below JOIN pg_type t USING (oid) WHERE t.typtype = 'd'
)
SELECT a.attname AS name, format_type(t.oid, NULL) AS type
  FROM below
  JOIN pg_type t ON t.oid = below.oid AND t.typtype <> 'd'
  JOIN pg_attribute a ON a.attrelid::bigint = %(oid)s AND a.attnum = below.attnum
 ORDER BY a.attnum
