-- What a lineage makes of one schema, as one digest: columns, constraints, indexes, sequences.
-- schema: name of the schema.
WITH wanted AS (
    SELECT c.oid, c.relname, c.relkind
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s
), line (text) AS (
    SELECT jsonb_build_array('column', w.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                             a.attgenerated, a.attidentity, a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid),
                             col_description(w.oid, a.attnum))::text
      FROM wanted w
      JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE w.relkind IN ('r', 'p')
    UNION ALL
    SELECT jsonb_build_array('constraint', w.relname, con.conname, pg_get_constraintdef(con.oid), con.convalidated)::text
      FROM wanted w JOIN pg_constraint con ON con.conrelid = w.oid
    UNION ALL
    SELECT jsonb_build_array('index', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready)::text
      FROM wanted w JOIN pg_index i ON i.indrelid = w.oid
    UNION ALL
    SELECT jsonb_build_array('relation', w.relname, w.relkind, obj_description(w.oid, 'pg_class'))::text
      FROM wanted w
     WHERE w.relkind NOT IN ('i', 'I', 't')
)
SELECT encode(sha256(convert_to(coalesce(string_agg(text, E'\n' ORDER BY text COLLATE "C"), ''), 'UTF8')), 'hex')
  FROM line
