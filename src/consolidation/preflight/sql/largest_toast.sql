-- Bytes of the largest TOAST relation of a table and its partitions, each value is in one of them; and of all they hold.
-- oid: bigint, of the table.
WITH RECURSIVE parts (oid) AS (
    SELECT %(oid)s::oid
    UNION ALL
    SELECT i.inhrelid FROM parts JOIN pg_inherits i ON i.inhparent = parts.oid
)
SELECT coalesce(max(pg_relation_size(nullif(c.reltoastrelid, 0))), 0), sum(pg_table_size(c.oid))::bigint
  FROM parts JOIN pg_class c USING (oid)
