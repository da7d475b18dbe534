-- summary: SELECT pg_export_snapshot
SELECT
  pg_catalog.pg_export_snapshot() AS snapshot,
  pg_catalog.clock_timestamp() AS at,
  (CASE
    WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_insert_lsn()
  END)::pg_catalog.text AS lsn
