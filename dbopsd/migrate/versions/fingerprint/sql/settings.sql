-- summary: SELECT set_config
-- Whatever changes how the server writes a definition has one value here, until the transaction
-- or savepoint around it is rolled back. Temporary tables come last in the search path: one may
-- have any name. Compiling a query of this size would take longer than running it.
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
    pg_catalog.set_config('quote_all_identifiers', 'off', true),
    pg_catalog.set_config('standard_conforming_strings', 'on', true),
    pg_catalog.set_config('DateStyle', 'ISO, MDY', true),
    pg_catalog.set_config('IntervalStyle', 'postgres', true),
    pg_catalog.set_config('TimeZone', 'UTC', true),
    pg_catalog.set_config('extra_float_digits', '1', true),
    pg_catalog.set_config('bytea_output', 'hex', true),
    pg_catalog.set_config('lc_monetary', 'C', true),
    pg_catalog.set_config('jit', 'off', true),
    pg_catalog.set_config('max_parallel_workers_per_gather', '0', true),
    pg_catalog.set_config('lock_timeout', %(lock_timeout)s::pg_catalog.text, true),
    pg_catalog.set_config('statement_timeout', %(statement_timeout)s::pg_catalog.text, true)
