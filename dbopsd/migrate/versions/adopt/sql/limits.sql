-- summary: SELECT set_config
-- For the transaction: a table may be anybody's, who may lock it, and its policies would run
-- functions of theirs.
SELECT
    pg_catalog.set_config('row_security', 'off', true),
    pg_catalog.set_config('search_path', 'pg_catalog', true),
    pg_catalog.set_config('lock_timeout', '1s', true),
    pg_catalog.set_config('statement_timeout', '10s', true)
