-- summary: SELECT pg_partitioned_table
SELECT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table)
