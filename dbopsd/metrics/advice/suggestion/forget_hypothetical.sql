-- summary: SELECT hypopg_reset
SELECT {schema}.hypopg_reset()
