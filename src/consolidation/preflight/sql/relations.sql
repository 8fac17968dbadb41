-- How many tables and indexes a transaction locks that touches all of these tables.
-- oids: the tables.
SELECT count(*) + (SELECT count(*) FROM pg_index i WHERE i.indrelid = ANY (%(oids)s::oid[]))
  FROM unnest(%(oids)s::oid[])
