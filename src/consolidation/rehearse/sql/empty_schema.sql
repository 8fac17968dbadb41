-- Whether the schema of the logs is there, empty, and one that this role may make again.
SELECT EXISTS (
    SELECT FROM pg_namespace n
     WHERE n.nspname = 'consolidation' AND pg_has_role(n.nspowner, 'USAGE')
       AND has_database_privilege(current_database(), 'CREATE')
       AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid)
       AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = n.oid)
)
