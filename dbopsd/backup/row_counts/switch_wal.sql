-- summary: SELECT pg_switch_wal
SELECT
  CASE
    WHEN pg_catalog.has_function_privilege('pg_catalog.pg_switch_wal()', 'EXECUTE')
      THEN pg_catalog.pg_switch_wal()
  END
