-- Rights on some tables, their partitions, their columns and one schema's sequences and views that others than the owner
-- and some roles have. enters: whether the schema lets the grantee in.
-- schema: name of the schema; oids: bigint[] of the tables; roles: text[] of the roles that are left out.
WITH RECURSIVE wanted (oid) AS (
    SELECT unnest(%(oids)s::bigint[])::oid
    UNION
    SELECT i.inhrelid FROM wanted w JOIN pg_inherits i ON i.inhparent = w.oid
), relation AS (
    SELECT c.*
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND (c.relkind IN ('S', 'v', 'm') OR c.oid IN (SELECT oid FROM wanted))
       AND NOT EXISTS (SELECT FROM pg_depend e
                        WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
), item AS (
    SELECT r.relname, r.relkind, NULL::name AS column_name, r.relowner, r.relnamespace, a.*
      FROM relation r CROSS JOIN LATERAL aclexplode(r.relacl) AS a
    UNION ALL
    SELECT r.relname, r.relkind, t.attname, r.relowner, r.relnamespace, a.*
      FROM relation r
      JOIN pg_attribute t ON t.attrelid = r.oid
     CROSS JOIN LATERAL aclexplode(t.attacl) AS a
)
SELECT CASE WHEN i.grantee <> 0 THEN pg_get_userbyid(i.grantee) END AS grantee,
       i.relname AS name, i.relkind = 'S' AS is_sequence, i.column_name, i.is_grantable,
       bool_or(CASE WHEN i.grantee = 0 THEN has_schema_privilege('public', i.relnamespace, 'USAGE')
                    ELSE has_schema_privilege(i.grantee, i.relnamespace, 'USAGE') END) AS enters,
       string_agg(DISTINCT i.privilege_type, ', ' ORDER BY i.privilege_type) AS privileges
  FROM item i
 WHERE i.grantee <> i.relowner
   AND (i.grantee = 0 OR pg_get_userbyid(i.grantee) <> ALL (%(roles)s::text[]))
 GROUP BY i.grantee, i.relname, i.relkind, i.column_name, i.is_grantable
 ORDER BY 1 NULLS FIRST, 7, 3, 5, 2, 4
