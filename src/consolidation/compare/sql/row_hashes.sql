-- Key and hashes of every row of some buckets, in an order that both sides share.
-- Placeholders: as in buckets.sql; key = text[] with the key's values, over the names c0, c1, ...; buckets = integer[].
SELECT ({key}) COLLATE pg_catalog."C" AS key, {first} AS first, {second} AS second
  FROM (SELECT {columns}, clock_timestamp() AS unused FROM {from} WHERE {bucket} = ANY ({buckets}::integer[])) AS r
 ORDER BY 1, 2, 3
