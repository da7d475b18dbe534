-- summary: SELECT set_config
SELECT pg_catalog.set_config('statement_timeout', %(limit)s, false)
