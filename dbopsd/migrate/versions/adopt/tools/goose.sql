-- summary: SELECT goose_db_version
SELECT version_id::pg_catalog.int8, is_applied, tstamp::pg_catalog.timestamptz
  FROM {table}
 ORDER BY id
 LIMIT 100001
