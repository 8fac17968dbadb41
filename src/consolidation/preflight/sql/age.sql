-- Tables, with their partitions, whose age comes near the one at which a wraparound autovacuum begins.
-- oids: bigint[] of the tables.
WITH RECURSIVE wanted (oid) AS (
    SELECT unnest(%(oids)s::bigint[])::oid
    UNION
    SELECT i.inhrelid FROM wanted w JOIN pg_inherits i ON i.inhparent = w.oid
), aged AS (
    SELECT c.oid::regclass::text AS name, k.counted, k.age,
           -- A table's own value can only lower the server's.
           least(current_setting(k.setting)::bigint,
                 (SELECT option_value::bigint FROM pg_options_to_table(c.reloptions) WHERE option_name = k.setting)) AS most
      FROM wanted w
      JOIN pg_class c ON c.oid = w.oid AND c.relkind = 'r'
     CROSS JOIN LATERAL (VALUES
           ('transactions', age(c.relfrozenxid)::bigint, 'autovacuum_freeze_max_age'),
           ('multixacts', mxid_age(c.relminmxid)::bigint, 'autovacuum_multixact_freeze_max_age')) AS k (counted, age, setting)
)
SELECT name, counted, age, most FROM aged WHERE age > 0.9 * most ORDER BY age::numeric / most DESC
