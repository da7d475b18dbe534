-- summary: SELECT schema_migrations
SELECT version::pg_catalog.text
  FROM {table}
 LIMIT 100001
