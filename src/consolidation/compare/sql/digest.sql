-- Content digest of one table: rows, and two sums of 64-bit row hashes that do not depend on the order of the rows.
-- Placeholders: columns = the columns in comparable form, named c0, c1, ...; first, second = hash of the row with
-- either seed, over those names; from = [ONLY] table.
-- clock_timestamp() is volatile: it keeps the planner from merging the inner query, which would print and decompress
-- every value once for each sum. It is parallel safe; OFFSET 0, the usual means, would forbid parallel plans.
SELECT count(*), coalesce(sum({first}), 0), coalesce(sum({second}), 0)
  FROM (SELECT {columns}, clock_timestamp() AS unused FROM {from}) AS r
