-- summary: SELECT pg_settings
SELECT s.name, s.reset_val FROM pg_catalog.pg_settings AS s
WHERE s.name OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.text[])
