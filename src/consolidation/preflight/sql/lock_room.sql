-- max_locks_per_transaction, and the locks that the server has room for at least.
SELECT per, per * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)
  FROM (SELECT current_setting('max_locks_per_transaction')::int AS per) AS setting
