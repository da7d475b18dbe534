-- summary: SELECT pg_available_extensions amcheck
SELECT pg_catalog.count(*) > 0 AS available
FROM pg_catalog.pg_available_extensions
WHERE name = 'amcheck'
