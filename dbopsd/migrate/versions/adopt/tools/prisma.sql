-- summary: SELECT _prisma_migrations
SELECT migration_name::pg_catalog.text,
       checksum::pg_catalog.text,
       started_at::pg_catalog.timestamptz,
       finished_at::pg_catalog.timestamptz,
       rolled_back_at::pg_catalog.timestamptz,
       pg_catalog.left(logs::pg_catalog.text, 1000),
       applied_steps_count::pg_catalog.int4,
       pg_catalog.strpos(logs::pg_catalog.text, 'schema_engine_wasm') > 0
  FROM {table}
 ORDER BY started_at, finished_at, migration_name
 LIMIT 100001
