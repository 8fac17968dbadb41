-- What some tables have besides their definition: comments, replica identity, storage parameters, statistics targets.
-- Statements are to be completed: {} is the table's name in the target.
-- oids: bigint[] of the tables.
SELECT c.relname AS name, 'comment' AS sort,
       format('COMMENT ON TABLE {} IS %%L;', d.description) AS statement, d.description AS comment
  FROM pg_class c JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0
 WHERE c.oid::bigint = ANY (%(oids)s::bigint[])
UNION ALL
SELECT c.relname, 'comment', format('COMMENT ON COLUMN {}.%%I IS %%L;', a.attname, d.description), d.description
  FROM pg_class c
  JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid > 0
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
 WHERE c.oid::bigint = ANY (%(oids)s::bigint[])
UNION ALL
SELECT c.relname, 'replica_identity',
       'ALTER TABLE {} REPLICA IDENTITY '
         || CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                 ELSE coalesce((SELECT format('USING INDEX %%I', x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                                 WHERE i.indrelid = c.oid AND i.indisreplident), 'NOTHING') END || ';', NULL
  FROM pg_class c
 WHERE c.oid::bigint = ANY (%(oids)s::bigint[]) AND c.relreplident <> 'd'
UNION ALL
SELECT c.relname, 'storage_parameter',
       format('ALTER TABLE {} SET (%%s);',
              (SELECT string_agg(format('%%s%%s = %%L', o.prefix, o.option_name, o.option_value), ', ')
                 FROM (SELECT '' AS prefix, own.* FROM pg_options_to_table(c.reloptions) AS own
                       UNION ALL SELECT 'toast.', t.* FROM pg_options_to_table(toast.reloptions) AS t) AS o)), NULL
  FROM pg_class c
  LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
 WHERE c.oid::bigint = ANY (%(oids)s::bigint[]) AND coalesce(c.reloptions, toast.reloptions) IS NOT NULL
UNION ALL
SELECT c.relname, 'storage_parameter',
       format('ALTER TABLE {} ALTER %%I SET STATISTICS %%s;', a.attname, a.attstattarget), NULL
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.oid::bigint = ANY (%(oids)s::bigint[]) AND a.attstattarget >= 0
UNION ALL
SELECT c.relname, 'storage_parameter', format('ALTER TABLE {} ALTER %%I SET (%%s);', a.attname, o.options), NULL
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  -- Others are notes of the server's own.
 CROSS JOIN LATERAL (SELECT string_agg(format('%%s = %%s', option_name, option_value), ', ') AS options
                       FROM pg_options_to_table(a.attoptions)
                      WHERE option_name IN ('n_distinct', 'n_distinct_inherited')) AS o
 WHERE c.oid::bigint = ANY (%(oids)s::bigint[]) AND o.options IS NOT NULL
 ORDER BY 1, 2, 3
