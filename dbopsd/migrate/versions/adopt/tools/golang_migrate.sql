-- summary: SELECT schema_migrations
SELECT version::pg_catalog.int8, dirty
  FROM {table}
 ORDER BY version
 LIMIT 2
