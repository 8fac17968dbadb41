-- Tables of one schema whose policies hold for one role that has no BYPASSRLS: owners are exempt unless forced.
-- schema: name of the schema; role: name of the role.
SELECT format('%%I.%%I', n.nspname, c.relname)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relrowsecurity
   AND (c.relforcerowsecurity OR NOT pg_has_role(%(role)s, c.relowner, 'USAGE'))
   AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s AND (rolsuper OR rolbypassrls))
 ORDER BY 1
