-- summary: SELECT set_config statement_timeout
SELECT pg_catalog.set_config('statement_timeout', %s, false)
