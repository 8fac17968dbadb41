-- A page of small rows, put together: the JSON of one row more than {limit}, and the versions; the bytes of the page's last
-- row and of the one more, where there are that many (the text goes out as UTF-8: only there is it of the same length); and
-- whether this is a page. If not, page_cut is: a row that is larger than its share of {byte_limit} is not read.
SELECT
  string_agg(p.json, ','),
  string_agg(p.row_version, '","'),
  (array_agg(octet_length(p.json)))[{limit} : {limit} + 1],
  count(p.json) = count(*) AND (count(*) <= {limit} OR getdatabaseencoding() = 'UTF8')
FROM (
  SELECT
    CASE WHEN {row_bytes} <= {byte_limit} / ({limit} + 1) THEN row_to_json(r)::text END AS json,
    t.xmin::text AS row_version
  FROM {table} AS t CROSS JOIN LATERAL (SELECT {columns_of_t}) AS r
  WHERE {wanted}
  ORDER BY {order_of_t}
  LIMIT {limit} + 1
) AS p
