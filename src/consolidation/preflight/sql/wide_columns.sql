-- Columns of a table whose values may be long enough to lie outside its rows, each with the type below its domains, and
-- whether that holds numerics, as jsonb does: a few bytes of one print as many digits as it has zeros.
-- oid: bigint, of the table.
WITH RECURSIVE below (attnum, oid) AS (
    SELECT a.attnum, a.atttypid
      FROM pg_attribute a
     WHERE a.attrelid::bigint = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
       AND a.attlen = -1 AND a.attstorage <> 'p'
    UNION ALL
    SELECT below.attnum, t.typbasetype FROM below JOIN pg_type t USING (oid) WHERE t.typtype = 'd'
), inside (attnum, oid) AS (
    SELECT * FROM below
    UNION
    SELECT i.attnum, part.oid
      FROM inside i
      JOIN pg_type t USING (oid)
     CROSS JOIN LATERAL (
           SELECT t.typelem WHERE t.typelem <> 0
           UNION ALL
           SELECT t.typbasetype WHERE t.typtype = 'd'
           UNION ALL
           SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
           UNION ALL
           -- Of a range its subtype, of a multirange (from 14 on) that of its range.
           SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid)) AS part (oid)
)
SELECT a.attname AS name, format_type(t.oid, NULL) AS type,
       t.oid <> 'numeric'::regtype AND EXISTS (SELECT FROM inside i
                                                WHERE i.attnum = below.attnum
                                                  AND i.oid IN ('numeric'::regtype, 'jsonb'::regtype)) AS is_dense
  FROM below
  JOIN pg_type t ON t.oid = below.oid AND t.typtype <> 'd'
  JOIN pg_attribute a ON a.attrelid::bigint = %(oid)s AND a.attnum = below.attnum
 ORDER BY a.attnum
