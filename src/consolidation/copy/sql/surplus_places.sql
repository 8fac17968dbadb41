-- Places of the rows that this side has and the other has not, or not as many times.
SELECT part, place
  FROM (SELECT part, place, first, second, row_number() OVER (PARTITION BY first, second ORDER BY place) AS copy
          FROM pg_temp.consolidation_rows) AS r
  LEFT JOIN pg_temp.consolidation_counts AS c USING (first, second)
 WHERE copy > coalesce(copies, 0)
