-- summary: SELECT atlas_schema_revisions
SELECT version::pg_catalog.text,
       description::pg_catalog.text,
       type::pg_catalog.int8,
       applied::pg_catalog.int8,
       total::pg_catalog.int8,
       executed_at::pg_catalog.timestamptz,
       execution_time::pg_catalog.int8,
       pg_catalog.right(error::pg_catalog.text, 1000),
       hash::pg_catalog.text
  FROM {table}
 ORDER BY executed_at, version
 LIMIT 100001
