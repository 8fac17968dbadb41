-- The function behind every fence trigger. It refuses everyone, the owner and superusers included; only a session that
-- was opened by the runbook's own role (the trigger's argument) and asked to pass may write. The row trigger's condition
-- says the same. The fence is known by the error's constraint, in every language of a server.
CREATE OR REPLACE FUNCTION consolidation.fence() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF session_user = tg_argv[0] AND current_setting('consolidation.pass', true) = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION USING
    ERRCODE = 'read_only_sql_transaction',
    MESSAGE = format('table %I.%I is fenced by the storage consolidation', tg_table_schema, tg_table_name),
    HINT = 'Its rows are being moved. Writes go to the other database after the cutover; retry in a moment.',
    SCHEMA = tg_table_schema, TABLE = tg_table_name, CONSTRAINT = 'aa_consolidation_fence';
END
$$
