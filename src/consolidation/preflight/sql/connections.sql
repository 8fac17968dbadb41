-- Connections that are left, by each limit that holds for one role in this database.
-- role: name of the role.
SELECT 'role' AS limited_by, rolconnlimit - (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS available
  FROM pg_roles r
 WHERE rolname = %(role)s AND rolconnlimit >= 0 AND NOT rolsuper
UNION ALL
SELECT 'database', datconnlimit - (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid)
  FROM pg_database d
 WHERE datname = current_database() AND datconnlimit >= 0
UNION ALL
SELECT 'server', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                 - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
