-- What a lineage makes of one schema: each column, constraint, index and relation by its name, and a digest of it.
-- Names are words for people, the same as in deferrable.sql. Left out: the foreign keys of partitions, which follow from
-- their root's, but get new names when that is recreated.
-- schema: name of the schema.
WITH wanted AS (
    SELECT c.oid, c.relname, c.relkind, c.relpartbound
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s
), line (name, made) AS (
    SELECT format('column %%s of %%s', a.attname, w.relname),
           jsonb_build_array(format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, a.attidentity,
                             a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid),
                             col_description(w.oid, a.attnum))
      FROM wanted w
      JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE w.relkind IN ('r', 'p')
    UNION ALL
    SELECT format('%%s %%s of %%s', CASE con.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, con.conname,
                  w.relname),
           -- Whether it is validated is looked at apart, by what is not in force: an operator may validate it by hand.
           jsonb_build_array(regexp_replace(pg_get_constraintdef(con.oid), ' NOT VALID$', ''),
                             pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready)
      FROM wanted w
      JOIN pg_constraint con ON con.conrelid = w.oid AND (con.contype <> 'f' OR con.conparentid = 0)
      LEFT JOIN pg_index i ON i.indexrelid = con.conindid AND i.indrelid = con.conrelid
    UNION ALL
    SELECT format('index %%s of %%s', c.relname, w.relname),
           jsonb_build_array(pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready)
      FROM wanted w JOIN pg_index i ON i.indrelid = w.oid JOIN pg_class c ON c.oid = i.indexrelid
     WHERE NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.conrelid = i.indrelid)
    UNION ALL
    SELECT format('relation %%s', w.relname),
           jsonb_build_array(w.relkind, obj_description(w.oid, 'pg_class'), pg_get_expr(w.relpartbound, w.oid))
      FROM wanted w
     WHERE w.relkind NOT IN ('i', 'I', 't')
)
SELECT name, left(encode(sha256(convert_to(made::text, 'UTF8')), 'hex'), 32) FROM line
