-- Rights on some tables, their columns and one schema's sequences that others than the owner and some roles have.
-- schema: name of the schema; oids: bigint[] of the tables; roles: text[] of the roles that are left out.
WITH item AS (
    SELECT c.relname, c.relkind, NULL::name AS column_name, c.relowner, a.*
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid::bigint = ANY (%(oids)s::bigint[]) OR (c.relkind = 'S' AND n.nspname = %(schema)s)
    UNION ALL
    SELECT c.relname, c.relkind, t.attname, c.relowner, a.*
      FROM pg_class c
      JOIN pg_attribute t ON t.attrelid = c.oid
     CROSS JOIN LATERAL aclexplode(t.attacl) AS a
     WHERE c.oid::bigint = ANY (%(oids)s::bigint[])
)
SELECT CASE WHEN i.grantee <> 0 THEN pg_get_userbyid(i.grantee) END AS grantee,
       i.relname AS name, i.relkind = 'S' AS is_sequence, i.column_name,
       string_agg(DISTINCT i.privilege_type, ', ' ORDER BY i.privilege_type) AS privileges
  FROM item i
 WHERE i.grantee <> i.relowner
   AND (i.grantee = 0 OR pg_get_userbyid(i.grantee) <> ALL (%(roles)s::text[]))
 GROUP BY i.grantee, i.relname, i.relkind, i.column_name
 ORDER BY 1 NULLS FIRST, 5, 3, 2, 4
