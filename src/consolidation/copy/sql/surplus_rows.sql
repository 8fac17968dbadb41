-- Hashes and places of the rows in some buckets of a table, and room for the other side's counts of the same hashes.
-- Placeholders: as in row_hashes.sql.
CREATE TEMPORARY TABLE consolidation_rows ON COMMIT DROP AS
SELECT part, place, {first} AS first, {second} AS second
  FROM (SELECT {columns}, tableoid AS part, ctid AS place, clock_timestamp() AS unused
          FROM {from} WHERE {bucket} = ANY ({buckets}::integer[])) AS r;
ANALYZE pg_temp.consolidation_rows;
CREATE TEMPORARY TABLE consolidation_counts (first bigint, second bigint, copies bigint) ON COMMIT DROP
