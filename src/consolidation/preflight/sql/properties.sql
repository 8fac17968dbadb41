-- What some tables and their partitions in one schema have besides their definition: comments, replica identity, storage
-- parameters, statistics targets, how and where values are stored. comment: its text, where it is one.
-- Statements are to be completed: {} is the table's name in the target, {{}} that of its schema.
-- schema: name of the schema; oids: bigint[] of the tables.
WITH RECURSIVE tree (oid) AS (
    SELECT unnest(%(oids)s::bigint[])::oid
    UNION
    SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid
), wanted AS (
    SELECT c.*
      FROM tree JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s
)
SELECT c.relname AS name, 'comment' AS sort,
       format('COMMENT ON TABLE {} IS %%L;', d.description) AS statement, d.description AS comment
  FROM wanted c JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0
UNION ALL
SELECT c.relname, 'comment', format('COMMENT ON COLUMN {}.%%I IS %%L;', a.attname, d.description), d.description
  FROM wanted c
  JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid > 0
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
UNION ALL
SELECT c.relname, 'replica_identity',
       'ALTER TABLE {} REPLICA IDENTITY '
         || CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                 ELSE coalesce((SELECT format('USING INDEX %%I', x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                                 WHERE i.indrelid = c.oid AND i.indisreplident), 'NOTHING') END || ';', NULL
  FROM wanted c
 WHERE c.relreplident <> 'd'
UNION ALL
SELECT c.relname, 'storage_parameter',
       format('ALTER TABLE {} SET (%%s);',
              (SELECT string_agg(format('%%s%%s = %%L', o.prefix, o.option_name, o.option_value), ', ')
                 FROM (SELECT '' AS prefix, own.* FROM pg_options_to_table(c.reloptions) AS own
                       UNION ALL SELECT 'toast.', t.* FROM pg_options_to_table(toast.reloptions) AS t) AS o)), NULL
  FROM wanted c
  LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
 WHERE coalesce(c.reloptions, toast.reloptions) IS NOT NULL
UNION ALL
SELECT c.relname, 'storage_parameter',
       format('ALTER TABLE {} ALTER %%I SET STATISTICS %%s;', a.attname, a.attstattarget), NULL
  FROM wanted c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE a.attstattarget >= 0
UNION ALL
SELECT c.relname, 'storage_parameter', format('ALTER TABLE {} ALTER %%I SET (%%s);', a.attname, o.options), NULL
  FROM wanted c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  -- Others are notes of the server's own.
 CROSS JOIN LATERAL (SELECT string_agg(format('%%s = %%s', option_name, option_value), ', ') AS options
                       FROM pg_options_to_table(a.attoptions)
                      WHERE option_name IN ('n_distinct', 'n_distinct_inherited')) AS o
 WHERE o.options IS NOT NULL
UNION ALL
SELECT c.relname, 'comment', format('COMMENT ON CONSTRAINT %%I ON {} IS %%L;', k.conname, d.description), d.description
  FROM wanted c
  JOIN pg_constraint k ON k.conrelid = c.oid AND k.conparentid = 0
  JOIN pg_description d ON d.classoid = 'pg_constraint'::regclass AND d.objoid = k.oid
UNION ALL
SELECT c.relname, 'comment', format('COMMENT ON TRIGGER %%I ON {} IS %%L;', t.tgname, d.description), d.description
  FROM wanted c
  JOIN pg_trigger t ON t.tgrelid = c.oid
  JOIN pg_description d ON d.classoid = 'pg_trigger'::regclass AND d.objoid = t.oid
UNION ALL
SELECT c.relname, 'comment', format('COMMENT ON INDEX {{}}.%%I IS %%L;', x.relname, d.description), d.description
  FROM wanted c
  JOIN pg_index i ON i.indrelid = c.oid
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = x.oid
UNION ALL
SELECT c.relname, 'storage_parameter',
       format('ALTER TABLE {} ALTER %%I SET STORAGE %%s;', a.attname,
              CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END), NULL
  FROM wanted c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid AND t.typstorage <> a.attstorage
UNION ALL
-- Before 14 there is no such column.
SELECT c.relname, 'storage_parameter',
       format('ALTER TABLE {} ALTER %%I SET COMPRESSION %%s;', a.attname,
              CASE to_jsonb(a) ->> 'attcompression' WHEN 'l' THEN 'lz4' ELSE 'pglz' END), NULL
  FROM wanted c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE coalesce(to_jsonb(a) ->> 'attcompression', '') <> ''
UNION ALL
SELECT c.relname, 'storage_parameter', format('ALTER TABLE {} CLUSTER ON %%I;', x.relname), NULL
  FROM wanted c JOIN pg_index i ON i.indrelid = c.oid AND i.indisclustered JOIN pg_class x ON x.oid = i.indexrelid
UNION ALL
SELECT c.relname, 'storage_parameter', format('ALTER TABLE {} SET TABLESPACE %%I;', t.spcname), NULL
  FROM wanted c JOIN pg_tablespace t ON t.oid = c.reltablespace
UNION ALL
SELECT c.relname, 'storage_parameter', format('ALTER INDEX {{}}.%%I SET TABLESPACE %%I;', x.relname, t.spcname), NULL
  FROM wanted c
  JOIN pg_index i ON i.indrelid = c.oid
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_tablespace t ON t.oid = x.reltablespace
 ORDER BY 1, 2, 3
