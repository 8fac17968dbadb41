-- DO INSTEAD rules of some tables.
-- oids: bigint[] of the tables.
SELECT c.oid::regclass::text, format('%%I', w.rulename),
       CASE w.ev_type WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' ELSE 'DELETE' END
  FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
 WHERE c.oid::bigint = ANY (%(oids)s::bigint[]) AND w.is_instead AND w.ev_enabled <> 'D' AND w.ev_type IN ('2', '3', '4')
 ORDER BY 1, 2
