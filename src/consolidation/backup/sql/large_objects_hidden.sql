-- Whether the current database has large objects that a role may not read.
-- role: name of the role.
SELECT EXISTS (SELECT FROM pg_largeobject_metadata m
                WHERE NOT pg_has_role(%(role)s, m.lomowner, 'USAGE')
                  AND NOT EXISTS (SELECT FROM aclexplode(m.lomacl) a
                                   WHERE a.privilege_type = 'SELECT'
                                     AND (a.grantee = 0 OR pg_has_role(%(role)s, a.grantee, 'USAGE'))))
