-- summary: SELECT pg_index
SELECT i.indexrelid::pg_catalog.int8
FROM pg_catalog.pg_index AS i
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s)
