-- summary: SELECT _sqlx_migrations
SELECT version::pg_catalog.int8,
       description::pg_catalog.text,
       installed_on::pg_catalog.timestamptz,
       success,
       checksum,
       execution_time::pg_catalog.int8
  FROM {table}
 ORDER BY installed_on, version
 LIMIT 100001
