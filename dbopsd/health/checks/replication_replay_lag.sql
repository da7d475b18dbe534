-- summary: SELECT pg_stat_replication replay
SELECT
  pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS permitted,
  pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.pg_wal_lsn_diff(
    coalesce(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()), pg_catalog.pg_last_wal_replay_lsn()
  )::pg_catalog.float8 AS waiting_bytes,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END AS paused,
  -- On a primary: the standby that is furthest behind.
  (
    SELECT pg_catalog.max(pg_catalog.pg_wal_lsn_diff(flush_lsn, replay_lsn))::pg_catalog.float8
    FROM pg_catalog.pg_stat_replication AS sender
    WHERE
      replay_lsn IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_replication_slots AS slot
        WHERE slot.active_pid = sender.pid AND slot.slot_type = 'logical'
      )
  ) AS standby_waiting_bytes
