-- summary: SELECT __diesel_schema_migrations
SELECT version::pg_catalog.text, run_on::pg_catalog.timestamptz
  FROM {table}
 ORDER BY run_on, version
 LIMIT 100001
