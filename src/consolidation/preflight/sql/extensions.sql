-- Extensions of this database with their schema, and whether some tables use them: in the type or collation of a column,
-- a default, a constraint, an index.
-- oids: bigint[] of the tables.
WITH parts (classid, objid) AS (
    SELECT 'pg_class'::regclass::oid, unnest(%(oids)s::bigint[])::oid
    UNION ALL
    SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid::bigint = ANY (%(oids)s::bigint[])
    UNION ALL
    SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid::bigint = ANY (%(oids)s::bigint[])
    UNION ALL
    SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid::bigint = ANY (%(oids)s::bigint[])
), needed AS (
    SELECT d.refclassid AS classid, d.refobjid AS objid FROM pg_depend d JOIN parts USING (classid, objid)
    UNION
    -- an array's or a domain's own extension type
    SELECT 'pg_type'::regclass, coalesce(nullif(t.typelem, 0), nullif(t.typbasetype, 0))
      FROM pg_depend d JOIN parts USING (classid, objid)
      JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
)
SELECT e.extname, n.nspname,
       EXISTS (SELECT FROM pg_depend m JOIN needed USING (classid, objid)
                WHERE m.refclassid = 'pg_extension'::regclass AND m.refobjid = e.oid AND m.deptype = 'e')
  FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname <> 'plpgsql'
 ORDER BY e.extname
