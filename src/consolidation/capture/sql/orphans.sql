-- Logs and functions whose table was dropped, as the statements that drop them.
SELECT format('DROP TABLE %I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'consolidation' AND c.relkind = 'r' AND c.relname ~ '^changed_[0-9]+$'
   AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid::text = substr(c.relname, 9))
UNION ALL
SELECT format('DROP FUNCTION %s', p.oid::regprocedure)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'consolidation' AND p.proname ~ '^note_(new|old)_[0-9]+$'
   AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid::text = substr(p.proname, 10))
