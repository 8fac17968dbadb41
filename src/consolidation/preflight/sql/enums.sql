-- Enums of one schema, and those of other schemas that some tables use, with their labels in order.
-- schema: name of the schema; oids: bigint[] of the tables.
SELECT n.nspname, t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
  FROM pg_type t
  JOIN pg_enum e ON e.enumtypid = t.oid
  JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE (n.nspname = %(schema)s
        OR EXISTS (SELECT FROM pg_attribute a
                    WHERE a.attrelid::bigint = ANY (%(oids)s::bigint[]) AND a.attnum > 0 AND NOT a.attisdropped
                      AND a.atttypid IN (t.oid, t.typarray)))
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
 GROUP BY n.nspname, t.typname
 ORDER BY n.nspname, t.typname
