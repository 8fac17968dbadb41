-- What hangs on some tables besides constraints and plain indexes: triggers, rules, policies, exclusion constraints,
-- inheritance.
-- oids: bigint[] of the tables; fence: what the names of the fence's triggers begin with, which are ours.
SELECT i.type, i.identity
  FROM (SELECT 'pg_trigger'::regclass AS classid, oid
          FROM pg_trigger
         WHERE tgrelid::bigint = ANY (%(oids)s::bigint[]) AND NOT tgisinternal AND NOT starts_with(tgname, %(fence)s)
        UNION ALL
        SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class::bigint = ANY (%(oids)s::bigint[])
        UNION ALL
        SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid::bigint = ANY (%(oids)s::bigint[])) AS o
 CROSS JOIN LATERAL pg_identify_object(o.classid, o.oid, 0) AS i
UNION ALL
SELECT 'exclusion constraint', format('%%I on %%s', conname, conrelid::regclass)
  FROM pg_constraint
 WHERE contype = 'x' AND conrelid::bigint = ANY (%(oids)s::bigint[])
UNION ALL
SELECT 'inheritance', format('%%s from %%s', inhrelid::regclass, inhparent::regclass)
  FROM pg_inherits
  JOIN pg_class c ON c.oid = inhrelid AND NOT c.relispartition
 WHERE inhrelid::bigint = ANY (%(oids)s::bigint[]) OR inhparent::bigint = ANY (%(oids)s::bigint[])
 ORDER BY 1, 2
