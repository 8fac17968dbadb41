-- What a round goes without on its tables: foreign keys from and to them, whoever has them, and the enabled user triggers
-- and rewrite rules of these tables and their partitions. How to drop (or disable) each, and how to make it again: a
-- foreign key NOT VALID, which takes no time and holds for all writers, and how to validate it later.
-- Before version 18 a partitioned table takes no foreign key that is not valid: made again, it is checked in full.
-- oids: bigint[] of the tables; ours: text[] of patterns of trigger names that stay.
WITH RECURSIVE wanted (oid) AS (
    SELECT c.oid FROM pg_class c WHERE c.oid::bigint = ANY (%(oids)s)
    UNION
    SELECT i.inhrelid FROM wanted JOIN pg_inherits i ON i.inhparent = wanted.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
), foreign_key AS (
    SELECT con.oid, con.conrelid::regclass AS relation, con.conname, con.convalidated,
           con.convalidated AND (r.relkind <> 'p' OR current_setting('server_version_num')::int >= 180000) AS later
      FROM pg_constraint con JOIN pg_class r ON r.oid = con.conrelid
     WHERE con.contype = 'f' AND con.conparentid = 0
       AND (con.conrelid IN (SELECT oid FROM wanted) OR con.confrelid IN (SELECT oid FROM wanted))
)
SELECT 'foreign key' AS kind, relation::text AS relation,
       format('ALTER TABLE %%s DROP CONSTRAINT %%I', relation, conname) AS drop_statement,
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', relation, conname, pg_get_constraintdef(oid))
         || CASE WHEN later THEN ' NOT VALID' ELSE '' END
         || coalesce(format('; COMMENT ON CONSTRAINT %%I ON %%s IS %%L', conname, relation,
                            obj_description(oid, 'pg_constraint')), '') AS create_statement,
       CASE WHEN later THEN format('ALTER TABLE %%s VALIDATE CONSTRAINT %%I', relation, conname) END
         AS validate_statement
  FROM foreign_key
UNION ALL
SELECT 'trigger', t.tgrelid::regclass::text,
       format('ALTER TABLE %%s DISABLE TRIGGER %%I', t.tgrelid::regclass, t.tgname),
       format('ALTER TABLE %%s ENABLE %%s TRIGGER %%I', t.tgrelid::regclass,
              CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, t.tgname), NULL
  FROM pg_trigger t
 WHERE t.tgrelid IN (SELECT oid FROM wanted)
   AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgname NOT LIKE ALL (%(ours)s) AND t.tgenabled IN ('O', 'A')
UNION ALL
SELECT 'rule', r.ev_class::regclass::text,
       format('ALTER TABLE %%s DISABLE RULE %%I', r.ev_class::regclass, r.rulename),
       format('ALTER TABLE %%s ENABLE %%s RULE %%I', r.ev_class::regclass,
              CASE r.ev_enabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, r.rulename), NULL
  FROM pg_rewrite r
 WHERE r.ev_class IN (SELECT oid FROM wanted) AND r.ev_type <> '1' AND r.ev_enabled IN ('O', 'A')
 ORDER BY 1, 2, 3
