-- summary: SELECT current_schema
SELECT pg_catalog.current_schema()
