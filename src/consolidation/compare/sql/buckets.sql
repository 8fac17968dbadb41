-- Digest of each bucket of a table's rows (see digest.sql); empty buckets give no row.
-- Placeholders: columns, first, second, from as in digest.sql; bucket = number of the bucket.
SELECT bucket, count(*), sum({first}), sum({second})
  FROM (SELECT {columns}, {bucket} AS bucket, clock_timestamp() AS unused FROM {from}) AS r
 GROUP BY bucket
