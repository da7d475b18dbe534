-- summary: SELECT set_config
SELECT pg_catalog.count(pg_catalog.set_config(s.name, s.value, false))
FROM ROWS FROM (
    pg_catalog.unnest(%(names)s::pg_catalog.text[]), pg_catalog.unnest(%(values)s::pg_catalog.text[])
) AS s (name, value)
