-- Leaves of the partitioned tables of one schema: root, name, and the condition of the rows that they take.
-- schema: name of the schema.
SELECT root.relname AS root,
       tree.relid::regclass::text AS leaf,
       pg_get_partition_constraintdef(tree.relid) AS takes,
       pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' AS is_default
  FROM pg_class root
  JOIN pg_namespace n ON n.oid = root.relnamespace AND n.nspname = %(schema)s
 CROSS JOIN LATERAL pg_partition_tree(root.oid) AS tree
  JOIN pg_class c ON c.oid = tree.relid
 WHERE root.relkind = 'p' AND NOT root.relispartition AND tree.isleaf AND tree.level > 0
 ORDER BY 1, 2
