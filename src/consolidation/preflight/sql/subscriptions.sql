-- Subscriptions of the database, with the tables of one schema that each writes.
-- schema: name of the schema.
SELECT format('%%I', s.subname),
       (SELECT string_agg(r.srrelid::regclass::text, ', ' ORDER BY r.srrelid::regclass::text)
          FROM pg_subscription_rel r JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE r.srsubid = s.oid AND n.nspname = %(schema)s)
  FROM pg_subscription s
 WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY 1
