-- summary: SELECT __drizzle_migrations
SELECT hash::pg_catalog.text,
       created_at::pg_catalog.int8,
       pg_catalog.to_jsonb(history) ->> 'name',
       (pg_catalog.to_jsonb(history) ->> 'applied_at')::pg_catalog.timestamptz
  FROM {table} AS history
 ORDER BY id
 LIMIT 100001
