-- Names of what extensions have in one schema: they stay where they are. Operators have none that is a word: ''.
-- schema: name of the schema.
SELECT DISTINCT coalesce(t.typname, p.proname, c.relname, o.opcname, l.collname, '') AS name
  FROM pg_depend d
  JOIN pg_depend n ON n.classid = d.classid AND n.objid = d.objid AND n.refclassid = 'pg_namespace'::regclass
                  AND n.refobjid = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
  LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
  LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
  LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
  LEFT JOIN pg_opclass o ON d.classid = 'pg_opclass'::regclass AND o.oid = d.objid
  LEFT JOIN pg_collation l ON d.classid = 'pg_collation'::regclass AND l.oid = d.objid
 WHERE d.deptype = 'e'
