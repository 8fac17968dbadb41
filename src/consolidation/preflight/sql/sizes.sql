-- Bytes of some tables (with TOAST), of their indexes, and of the whole database.
-- oids: bigint[] of the tables.
SELECT coalesce(sum(pg_table_size(t.oid::oid)), 0)::bigint,
       coalesce(sum(pg_indexes_size(t.oid::oid)), 0)::bigint,
       pg_database_size(current_database())
  FROM unnest(%(oids)s::bigint[]) AS t (oid)
