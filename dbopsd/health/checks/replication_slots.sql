-- summary: SELECT pg_replication_slots
SELECT
  slot_name,
  active,
  -- NULL for a slot that reserves nothing yet, and NULL would come first in the order below.
  coalesce(wal_status, '') AS wal_status,
  pg_catalog.pg_wal_lsn_diff(
    CASE
      WHEN pg_catalog.pg_is_in_recovery() THEN coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
      ELSE pg_catalog.pg_current_wal_lsn()
    END,
    restart_lsn
  )::pg_catalog.float8 AS retained_bytes
FROM pg_catalog.pg_replication_slots
WHERE NOT temporary
ORDER BY
  coalesce(wal_status, '') = 'lost' DESC,
  coalesce(wal_status, '') = 'unreserved' DESC,
  retained_bytes DESC NULLS LAST
