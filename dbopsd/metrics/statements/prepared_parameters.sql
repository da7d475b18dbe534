-- summary: SELECT pg_prepared_statements
SELECT pg_catalog.cardinality(p.parameter_types) AS parameters
FROM pg_catalog.pg_prepared_statements AS p
WHERE p.name = %s
