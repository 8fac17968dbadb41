-- A database by its identity: what it is called now, whether it takes connections, and what this role may do to it.
-- oid: its oid. No row: it was dropped.
SELECT d.datname AS name,
       d.datallowconn AS open,
       r.rolsuper OR pg_has_role(d.datdba, 'USAGE') AS owned,
       r.rolsuper OR r.rolcreatedb AS may_rename,
       pg_get_userbyid(d.datdba) AS owner
  FROM pg_database d
 CROSS JOIN (SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user) AS r
 WHERE d.oid = %(oid)s::oid
