-- A function behind the capture's triggers of one table: one INSERT into its log, with the rights of our role, so that
-- the writers need none. All names in the body are qualified, so it needs no search_path of its own.
-- Making a partition of the table checks EXECUTE for whoever does it: granted to all, whatever the default privileges are.
-- Placeholders: function = its qualified name; body = its body as a literal.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS {body};
GRANT EXECUTE ON FUNCTION {function}() TO PUBLIC
