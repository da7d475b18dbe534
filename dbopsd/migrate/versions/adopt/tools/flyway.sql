-- summary: SELECT flyway_schema_history
SELECT version::pg_catalog.text,
       description::pg_catalog.text,
       type::pg_catalog.text,
       checksum::pg_catalog.int8,
       installed_by::pg_catalog.text,
       installed_on::pg_catalog.timestamptz,
       execution_time::pg_catalog.int8,
       success
  FROM {table}
 ORDER BY installed_rank
 LIMIT 100001
