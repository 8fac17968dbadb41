-- Sequences of one schema that no column owns and that defaults of some tables take values from.
-- schema: name of the schema; tables: bigint[] of the tables' oids.
SELECT DISTINCT s.relname
  FROM pg_attrdef d
  JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
  JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
  JOIN pg_namespace n ON n.oid = s.relnamespace
 WHERE n.nspname = %(schema)s AND d.adrelid = ANY (%(tables)s::bigint[])
   AND NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 'pg_class'::regclass AND o.objid = s.oid
                      AND o.refclassid = 'pg_class'::regclass AND o.refobjsubid > 0 AND o.deptype IN ('a', 'i'))
