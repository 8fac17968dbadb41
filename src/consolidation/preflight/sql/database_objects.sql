-- Objects of the whole database that have a part in one schema's tables.
-- schema: name of the schema; oids: bigint[] of the tables.
SELECT DISTINCT 'publication', format('%%I', t.pubname)
  FROM pg_publication_tables t
  JOIN pg_namespace n ON n.nspname = t.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
 WHERE c.oid::bigint = ANY (%(oids)s::bigint[]) OR (n.nspname = %(schema)s AND c.relispartition)
UNION ALL
SELECT 'logical replication slot', slot_name::text FROM pg_replication_slots WHERE database = current_database()
UNION ALL
SELECT 'event trigger', format('%%I', evtname) FROM pg_event_trigger WHERE evtenabled <> 'D'
 ORDER BY 1, 2
