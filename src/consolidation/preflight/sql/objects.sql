-- Every object that lies directly in one schema, without extensions and their parts, and without sequences that a column owns.
-- schema: name of the schema.
SELECT i.type AS sort, coalesce(i.name, i.identity) AS name, i.identity
  FROM pg_depend d
 CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
 WHERE d.refclassid = 'pg_namespace'::regclass
   AND d.refobjid = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
   AND d.classid <> 'pg_extension'::regclass
   AND NOT EXISTS (SELECT FROM pg_depend o
                    WHERE o.classid = d.classid AND o.objid = d.objid
                      AND (o.deptype = 'e' OR o.deptype IN ('a', 'i') AND i.type = 'sequence' AND o.refobjsubid > 0))
   AND NOT EXISTS (SELECT FROM pg_class c
                    WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relispartition)
 ORDER BY i.type, i.identity
