-- A function of this session that brings rows one by one into a table and notes why the table refuses them.
-- The rows are in pg_temp.consolidation_sent, all columns as text; pg_temp.consolidation_shape has the table's columns
-- without its constraints. An error of a type or a domain names no column: each value is tried there alone.
-- Returns, for each reason, the number of rows. row_columns: names of the columns.
CREATE FUNCTION pg_temp.consolidation_refused(destination regclass, row_columns text[])
RETURNS TABLE (sqlstate_code text, column_name text, constraint_name text, refused bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  listed text := (SELECT string_agg(quote_ident(name), ', ' ORDER BY n)
                    FROM unnest(row_columns) WITH ORDINALITY AS c (name, n));
  fields text[];
  code text; at_table text; at_column text; at_constraint text;
BEGIN
  CREATE TEMPORARY TABLE consolidation_reasons (code text, at_column text, at_constraint text) ON COMMIT DROP;
  FOR fields IN EXECUTE format('SELECT ARRAY[%s]::text[] FROM pg_temp.consolidation_sent', listed) LOOP
    BEGIN
      EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)', destination, listed,
                     (SELECT string_agg(quote_nullable(field), ', ' ORDER BY n)
                        FROM unnest(fields) WITH ORDINALITY AS f (field, n)));
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, at_table = TABLE_NAME, at_column = COLUMN_NAME,
                              at_constraint = CONSTRAINT_NAME;
      IF at_table = '' THEN
        FOR n IN 1 .. cardinality(fields) LOOP
          BEGIN
            EXECUTE format('INSERT INTO pg_temp.consolidation_shape (%I) VALUES (%s)',
                           row_columns[n], quote_nullable(fields[n]));
          EXCEPTION WHEN OTHERS THEN
            at_column := row_columns[n];
            EXIT;
          END;
        END LOOP;
      END IF;
      INSERT INTO pg_temp.consolidation_reasons VALUES (code, at_column, at_constraint);
    END;
  END LOOP;
  RETURN QUERY SELECT r.code, r.at_column, r.at_constraint, count(*)
                 FROM pg_temp.consolidation_reasons r GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
  DROP TABLE pg_temp.consolidation_reasons;
END
$$
