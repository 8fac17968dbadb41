-- Tables by their identity: where and what they are called now, and whether this role may alter them.
-- oids: their oids. A table without a row was dropped.
SELECT c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS name,
       r.rolsuper OR pg_has_role(c.relowner, 'USAGE') AS owned
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS r
 WHERE c.oid = ANY (%(oids)s::bigint[]::oid[]) AND c.relkind IN ('r', 'p')
 ORDER BY n.nspname, c.relname
