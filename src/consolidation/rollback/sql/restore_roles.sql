-- Roles that a restore needs and that are missing, or that we may not act as; with the statement that fixes it.
-- roles: text[] of all that must exist; owners: text[] of those whose member we must be.
SELECT w.name, CASE WHEN r.oid IS NULL THEN 'missing' ELSE 'not ours' END AS state,
       CASE WHEN r.oid IS NOT NULL THEN format('GRANT %%I TO %%I', w.name, current_user) END AS fix
  FROM unnest(%(roles)s::text[]) AS w (name)
  LEFT JOIN pg_roles r ON r.rolname = w.name
 WHERE r.oid IS NULL
    OR (w.name = ANY (%(owners)s::text[]) AND NOT pg_has_role(r.oid, 'MEMBER'))
 ORDER BY w.name
