-- Tables of this database whose policies hold for one role that has no BYPASSRLS: owners are exempt unless forced.
-- role: name of the role.
SELECT format('%%s.%%s', n.nspname, c.relname), c.relforcerowsecurity
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relrowsecurity
   AND (c.relforcerowsecurity OR NOT pg_has_role(%(role)s, c.relowner, 'USAGE'))
 ORDER BY 1
