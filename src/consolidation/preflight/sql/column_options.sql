-- Options that columns of some tables have and no statement sets: minor releases of a server keep their own notes there.
-- oids: bigint[] of the tables.
SELECT split_part(o, '=', 1) AS name, count(*) AS columns
  FROM pg_attribute a, unnest(a.attoptions) AS o
 WHERE a.attrelid::bigint = ANY (%(oids)s::bigint[]) AND NOT a.attisdropped
   AND split_part(o, '=', 1) NOT IN ('n_distinct', 'n_distinct_inherited')
 GROUP BY 1
 ORDER BY 1
