-- The type that a word means: its name without the schema's, and the function that reads its modifier, if any.
-- word: as DDL would have it.
SELECT t.oid::bigint AS oid,
       n.nspname = 'pg_catalog' AS built_in,
       CASE WHEN starts_with(format_type(t.oid, NULL), quote_ident(n.nspname) || '.')
            THEN quote_ident(n.nspname) || '.' ELSE '' END AS qualifier,
       CASE WHEN starts_with(format_type(t.oid, NULL), quote_ident(n.nspname) || '.')
            THEN substr(format_type(t.oid, NULL), length(quote_ident(n.nspname)) + 2)
            ELSE format_type(t.oid, NULL) END AS name,
       CASE WHEN t.typmodin <> 0 THEN (SELECT format('%%I.%%I', pn.nspname, p.proname)
                                         FROM pg_proc p JOIN pg_namespace pn ON pn.oid = p.pronamespace
                                        WHERE p.oid = t.typmodin) END AS modifier_function
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.oid = to_regtype(%(word)s)
