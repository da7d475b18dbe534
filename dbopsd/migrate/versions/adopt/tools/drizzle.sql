-- summary: SELECT __drizzle_migrations
SELECT hash::pg_catalog.text, created_at::pg_catalog.int8
  FROM {table}
 ORDER BY id
 LIMIT 100001
