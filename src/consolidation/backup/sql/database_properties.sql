-- What a dump without --create does not restore of the current database itself; one row, one jsonb value.
-- No parameters.
-- grants: of the database (NULL grantee: PUBLIC); settings: ALTER DATABASE SET; owners: of its objects;
-- roles: all that own, are granted or have a policy on anything in it (PostgreSQL does not list the bootstrap superuser).
SELECT jsonb_build_object(
         'owner', pg_get_userbyid(d.datdba),
         'encoding', pg_encoding_to_char(d.encoding),
         'locale_provider', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
         'collate', d.datcollate,
         'ctype', d.datctype,
         'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
         'icu_rules', to_jsonb(d) ->> 'daticurules',
         'connection_limit', d.datconnlimit,
         'comment', shobj_description(d.oid, 'pg_database'),
         'grants', (SELECT coalesce(jsonb_agg(jsonb_build_object('role', g.rolname, 'privilege', a.privilege_type,
                                                                 'grantable', a.is_grantable)
                                              ORDER BY g.rolname, a.privilege_type), '[]')
                      FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                      LEFT JOIN pg_roles g ON g.oid = a.grantee),
         'settings', (SELECT coalesce(jsonb_agg(jsonb_build_array(split_part(s, '=', 1), substr(s, strpos(s, '=') + 1))
                                                ORDER BY s), '[]')
                        FROM pg_db_role_setting r CROSS JOIN unnest(r.setconfig) s
                       WHERE r.setdatabase = d.oid AND r.setrole = 0),
         'owners', (SELECT coalesce(jsonb_agg(DISTINCT r.rolname ORDER BY r.rolname), '[]')
                      FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
                     WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
                       AND (s.dbid = d.oid OR (s.classid = 'pg_database'::regclass AND s.objid = d.oid))),
         'roles', (SELECT coalesce(jsonb_agg(DISTINCT r.rolname ORDER BY r.rolname), '[]')
                     FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
                    WHERE s.refclassid = 'pg_authid'::regclass
                      AND (s.dbid = d.oid OR (s.classid = 'pg_database'::regclass AND s.objid = d.oid))))
  FROM pg_database d
 WHERE d.datname = current_database()
