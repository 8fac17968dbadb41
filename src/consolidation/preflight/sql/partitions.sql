-- Partitions of the partitioned tables of one schema, wherever they are.
-- schema: name of the schema.
SELECT DISTINCT c.relname
  FROM pg_class root
  JOIN pg_namespace n ON n.oid = root.relnamespace AND n.nspname = %(schema)s
 CROSS JOIN LATERAL pg_partition_tree(root.oid) AS tree
  JOIN pg_class c ON c.oid = tree.relid
 WHERE root.relkind = 'p' AND NOT root.relispartition AND tree.level > 0
