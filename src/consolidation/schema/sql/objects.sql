-- What one schema holds besides plain tables' columns, keys and indexes, and what hangs on some tables: sort and identity
-- as pg_identify_object has them, bare name, definition where it has one. Left out: extensions and their parts,
-- sequences that a column owns, partitions and what they have of their root, the fence.
-- schema: name of the schema; oids: bigint[] of the tables; fence: what its triggers' names begin with.
WITH object (classid, objid) AS (
    SELECT d.classid, d.objid
      FROM pg_depend d
     WHERE d.refclassid = 'pg_namespace'::regclass
       AND d.refobjid = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
       AND d.classid <> 'pg_extension'::regclass
       AND NOT EXISTS (SELECT FROM pg_depend o
                        WHERE o.classid = d.classid AND o.objid = d.objid
                          AND (o.deptype = 'e' OR o.deptype IN ('a', 'i') AND o.refobjsubid > 0
                               AND EXISTS (SELECT FROM pg_class c WHERE o.classid = 'pg_class'::regclass
                                              AND c.oid = o.objid AND c.relkind = 'S')))
       AND NOT EXISTS (SELECT FROM pg_class c
                        WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid
                          AND (c.relispartition OR c.relkind = 'r'
                               OR c.relkind = 'p' AND c.oid::bigint <> ALL (%(oids)s::bigint[])))
    UNION
    SELECT 'pg_trigger'::regclass, oid
      FROM pg_trigger
     WHERE tgrelid::bigint = ANY (%(oids)s::bigint[]) AND NOT tgisinternal AND NOT starts_with(tgname, %(fence)s)
       AND NOT starts_with(tgname, 'zz_consolidation_capture_')
    UNION
    SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class::bigint = ANY (%(oids)s::bigint[])
    UNION
    SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid::bigint = ANY (%(oids)s::bigint[])
)
SELECT CASE WHEN c.relkind = 'p' THEN 'partitioned table' ELSE i.type END AS sort,
       coalesce(c.relname, t.typname, p.proname, tr.tgname, r.rulename, po.polname, i.name, i.identity) AS name,
       i.identity,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid)
            WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid)
            WHEN c.relkind = 'S' THEN (SELECT format('%%s %%s %%s %%s %%s', s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,
                                                     s.seqtypid::regtype) FROM pg_sequence s WHERE s.seqrelid = c.oid)
            WHEN p.prokind IN ('f', 'p', 'w') THEN pg_get_functiondef(p.oid)
            WHEN tr.oid IS NOT NULL THEN pg_get_triggerdef(tr.oid)
            WHEN r.oid IS NOT NULL THEN pg_get_ruledef(r.oid)
            WHEN po.oid IS NOT NULL THEN format('%%s %%s %%s CHECK %%s', po.polcmd, po.polpermissive,
                                                pg_get_expr(po.polqual, po.polrelid),
                                                pg_get_expr(po.polwithcheck, po.polrelid))
            WHEN t.typtype = 'e' THEN (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
                                         FROM pg_enum e WHERE e.enumtypid = t.oid)
            WHEN t.typtype = 'd' THEN format('%%s %%s %%s %%s', format_type(t.typbasetype, t.typtypmod), t.typnotnull,
                                             t.typdefault, (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                                                              FROM pg_constraint k WHERE k.contypid = t.oid))
            WHEN t.typtype = 'c' THEN (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', '
                                                         ORDER BY a.attnum)
                                         FROM pg_attribute a WHERE a.attrelid = t.typrelid AND NOT a.attisdropped)
       END AS definition
  FROM object o
 CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, 0) AS i
  LEFT JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
  LEFT JOIN pg_type t ON o.classid = 'pg_type'::regclass AND t.oid = o.objid
  LEFT JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
  LEFT JOIN pg_trigger tr ON o.classid = 'pg_trigger'::regclass AND tr.oid = o.objid
  LEFT JOIN pg_rewrite r ON o.classid = 'pg_rewrite'::regclass AND r.oid = o.objid
  LEFT JOIN pg_policy po ON o.classid = 'pg_policy'::regclass AND po.oid = o.objid
UNION ALL
SELECT CASE con.contype WHEN 'x' THEN 'exclusion constraint' ELSE 'check constraint' END, con.conname,
       CASE con.contype WHEN 'x' THEN format('%%I on %%s', con.conname, con.conrelid::regclass)
            ELSE format('%%s.%%s.%%s', n.nspname, c.relname, con.conname) END,
       regexp_replace(pg_get_constraintdef(con.oid), ' NOT VALID$', '')
  FROM pg_constraint con
  JOIN pg_class c ON c.oid = con.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE con.contype IN ('c', 'x') AND con.conparentid = 0 AND con.conrelid::bigint = ANY (%(oids)s::bigint[])
UNION ALL
SELECT 'inheritance', c.relname, format('%%s from %%s', inhrelid::regclass, inhparent::regclass), NULL
  FROM pg_inherits
  JOIN pg_class c ON c.oid = inhrelid AND NOT c.relispartition
 WHERE inhrelid::bigint = ANY (%(oids)s::bigint[]) OR inhparent::bigint = ANY (%(oids)s::bigint[])
 ORDER BY 1, 3
