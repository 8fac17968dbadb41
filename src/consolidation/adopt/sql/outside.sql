-- Foreign keys of some tables that refer to a table which is not among them, partitions apart.
-- oids: bigint[] of the tables.
SELECT format('%%I of %%s refers to %%s', con.conname, con.conrelid::regclass, con.confrelid::regclass)
  FROM pg_constraint con
  JOIN pg_class f ON f.oid = con.confrelid
 WHERE con.contype = 'f' AND con.conparentid = 0 AND NOT f.relispartition
   AND con.conrelid::bigint = ANY (%(oids)s::bigint[]) AND con.confrelid::bigint <> ALL (%(oids)s::bigint[])
 ORDER BY 1
