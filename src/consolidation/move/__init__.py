"""Phase copy of tables that are in the storage database already: SET SCHEMA."""
