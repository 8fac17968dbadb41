-- Foreign keys from and to some tables, whoever has them, and the enabled user triggers and rewrite rules of these tables
-- and their partitions: how to drop (a trigger, a rule: disable) each, and how to make it again as it is.
-- oids: bigint[] of the tables; fence: name of the fence's trigger, which stays.
WITH RECURSIVE wanted (oid) AS (
    SELECT c.oid FROM pg_class c WHERE c.oid::bigint = ANY (%(oids)s)
    UNION
    SELECT i.inhrelid FROM wanted JOIN pg_inherits i ON i.inhparent = wanted.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
)
SELECT con.conrelid::regclass::text AS table_name, 'foreign key' AS kind, con.conname AS name,
       format('ALTER TABLE %%s DROP CONSTRAINT %%I', con.conrelid::regclass, con.conname) AS drop_statement,
       format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', con.conrelid::regclass, con.conname, pg_get_constraintdef(con.oid))
         || coalesce(format('; COMMENT ON CONSTRAINT %%I ON %%s IS %%L', con.conname, con.conrelid::regclass,
                            obj_description(con.oid, 'pg_constraint')), '') AS create_statement
  FROM pg_constraint con
 WHERE con.contype = 'f' AND con.conparentid = 0
   AND (con.conrelid IN (SELECT oid FROM wanted) OR con.confrelid IN (SELECT oid FROM wanted))
UNION ALL
SELECT t.tgrelid::regclass::text, 'trigger', t.tgname,
       format('ALTER TABLE %%s DISABLE TRIGGER %%I', t.tgrelid::regclass, t.tgname),
       format('ALTER TABLE %%s ENABLE %%s TRIGGER %%I', t.tgrelid::regclass,
              CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, t.tgname)
  FROM pg_trigger t
 WHERE t.tgrelid IN (SELECT oid FROM wanted)
   AND NOT t.tgisinternal AND t.tgparentid = 0 AND NOT starts_with(t.tgname, %(fence)s)
   AND NOT starts_with(t.tgname, 'zz_consolidation_capture_') AND t.tgenabled IN ('O', 'A')
UNION ALL
SELECT r.ev_class::regclass::text, 'rule', r.rulename,
       format('ALTER TABLE %%s DISABLE RULE %%I', r.ev_class::regclass, r.rulename),
       format('ALTER TABLE %%s ENABLE %%s RULE %%I', r.ev_class::regclass,
              CASE r.ev_enabled WHEN 'A' THEN 'ALWAYS' ELSE '' END, r.rulename)
  FROM pg_rewrite r
 WHERE r.ev_class IN (SELECT oid FROM wanted) AND r.ev_enabled IN ('O', 'A')
 ORDER BY 1, 2, 3
