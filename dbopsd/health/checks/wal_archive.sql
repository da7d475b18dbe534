-- summary: SELECT slots of WAL archives
SELECT
  slot.slot_name::pg_catalog.text AS slot_name,
  pg_catalog.pg_wal_lsn_diff(slot.restart_lsn, '0/0')::pg_catalog.float8 AS position,
  -- The position to write at is after a page's header already where nothing follows.
  greatest(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), slot.restart_lsn), 0)::pg_catalog.float8 AS lag_bytes,
  slot.restart_lsn IS NULL OR coalesce(slot.wal_status, '') = 'lost' AS lost,
  (
    SELECT pg_catalog.count(*)
    FROM pg_catalog.pg_stat_replication AS sender
    WHERE sender.application_name = slot.slot_name::pg_catalog.text
  ) AS receivers
FROM pg_catalog.pg_replication_slots AS slot
WHERE
  slot.slot_name LIKE 'dbopsd\_%'
  AND slot.slot_type = 'physical'
  AND NOT pg_catalog.pg_is_in_recovery()
ORDER BY lost DESC, lag_bytes DESC
