-- summary: SELECT pg_class
SELECT c.oid::pg_catalog.int8, c.relname, c.relkind::pg_catalog.text
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%s)) AND c.relname = ANY (%s)
