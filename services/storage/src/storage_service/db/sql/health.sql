-- What readiness depends on besides the lineages, a row for each table ($1: schemas, $2: tables, side by side; $3: which
-- right is needed besides SELECT and INSERT).
-- fenced: closed by the runbook's trigger (consolidation.fence.phase). noted: its changes are noted for the rollback
-- (consolidation.capture), which ends when the source has been opened again.
SELECT g.schema_name, g.table_name,
  coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, g.further_right), false) AS granted,
  EXISTS (SELECT FROM pg_trigger AS t
          WHERE t.tgrelid = c.oid AND t.tgname = 'aa_consolidation_fence' AND t.tgenabled <> 'D') AS fenced,
  EXISTS (SELECT FROM pg_trigger AS t
          WHERE t.tgrelid = c.oid AND starts_with(t.tgname, 'zz_consolidation_capture_') AND t.tgenabled <> 'D') AS noted
FROM unnest($1::text[], $2::text[], $3::text[]) AS g (schema_name, table_name, further_right)
LEFT JOIN pg_namespace AS n ON n.nspname = g.schema_name
LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = g.table_name
