-- Expressions of some tables that call functions of their own database: CHECK constraints, generated columns, indexes.
-- Each with one such function, a search_path that is not set first, and the statement that evaluates it for some rows.
-- oids: bigint[] of the tables.
WITH called AS (
    SELECT DISTINCT ON (d.classid, d.objid) d.classid, d.objid, d.refobjid AS function, p.provolatile = 'i' AS is_immutable,
           EXISTS (SELECT FROM unnest(p.proconfig) AS s WHERE s LIKE 'search_path=%%') AS is_pinned
      FROM pg_depend d
      JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
      JOIN pg_language l ON l.oid = p.prolang
     WHERE l.lanname NOT IN ('internal', 'c')
     ORDER BY d.classid, d.objid, is_pinned, is_immutable, d.refobjid
), expressions AS (
    SELECT 'constraint' AS sort, con.conname AS name, con.conrelid AS relation,
           pg_get_expr(con.conbin, con.conrelid) AS expression, called.function, is_pinned, is_immutable
      FROM pg_constraint con JOIN called ON called.classid = 'pg_constraint'::regclass AND called.objid = con.oid
     WHERE con.contype = 'c'
    UNION ALL
    SELECT 'generated column', a.attname, d.adrelid, pg_get_expr(d.adbin, d.adrelid), called.function, is_pinned, is_immutable
      FROM pg_attrdef d JOIN called ON called.classid = 'pg_attrdef'::regclass AND called.objid = d.oid
      JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
     WHERE a.attgenerated <> ''
    UNION ALL
    SELECT 'index', c.relname, i.indrelid, e.expression, called.function, is_pinned, is_immutable
      FROM pg_index i JOIN called ON called.classid = 'pg_class'::regclass AND called.objid = i.indexrelid
      JOIN pg_class c ON c.oid = i.indexrelid
     CROSS JOIN LATERAL (SELECT pg_get_expr(i.indexprs, i.indrelid) UNION ALL SELECT pg_get_expr(i.indpred, i.indrelid))
                        AS e (expression)
     WHERE e.expression IS NOT NULL
)
SELECT sort, name, is_pinned, is_immutable, relation::regclass::text AS place, function::regprocedure::text AS function,
       format('SELECT (%%s) FROM (SELECT * FROM %%s LIMIT 1000) AS %%I', expression, relation::regclass, c.relname) AS statement
  FROM expressions JOIN pg_class c ON c.oid = relation
 WHERE relation::bigint = ANY (%(oids)s::bigint[])
 ORDER BY place, name
