-- Columns of the ordinary and partitioned tables of one schema, in position order.
-- schema: name of the schema; tables: text[] of table names, empty for all.
SELECT c.relname AS table_name,
       a.attname AS name,
       -- Without the schema's name: a service's type has its counterpart in the other side's schema, and an extension
       -- may be in another one there.
       CASE WHEN starts_with(format_type(a.atttypid, a.atttypmod), quote_ident(tn.nspname) || '.')
            THEN substr(format_type(a.atttypid, a.atttypmod), length(quote_ident(tn.nspname)) + 2)
            ELSE format_type(a.atttypid, a.atttypmod) END AS type,
       t.typtype AS type_kind,
       t.typcategory AS type_category,
       a.attnotnull AS not_null,
       a.attgenerated::text AS generated,
       a.attidentity::text AS identity,
       pg_get_expr(d.adbin, d.adrelid) AS default_expression,
       CASE WHEN a.attcollation <> t.typcollation THEN l.collname::text END AS collation,
       a.attnum AS position
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
 WHERE n.nspname = %(schema)s
   AND c.relkind IN ('r', 'p')
   AND (cardinality(%(tables)s::text[]) = 0 OR c.relname = ANY (%(tables)s::text[]))
 ORDER BY c.relname, a.attnum
