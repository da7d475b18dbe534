-- summary: SELECT pg_stat_wal_receiver
SELECT
  pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS permitted,
  pg_catalog.pg_is_in_recovery() AS standby,
  -- On a standby: is WAL coming in? From an idle primary nothing comes until the receiver asks for a
  -- sign of life, after half of wal_receiver_timeout.
  (
    SELECT
      status = 'streaming'
      AND (
        pg_catalog.current_setting('wal_receiver_timeout')::pg_catalog.interval = '0'::pg_catalog.interval
        OR pg_catalog.clock_timestamp() - last_msg_receipt_time
        < pg_catalog.current_setting('wal_receiver_timeout')::pg_catalog.interval / 2 + '5s'::pg_catalog.interval
      )
    FROM pg_catalog.pg_stat_wal_receiver
  ) AS streaming,
  (
    SELECT pg_catalog.pg_wal_lsn_diff(latest_end_lsn, flushed_lsn)::pg_catalog.float8 FROM pg_catalog.pg_stat_wal_receiver
  ) AS missing_bytes,
  extract(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::pg_catalog.float8 AS replay_age_s,
  -- A standby may be fed by restore_command alone.
  CASE
    WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') THEN pg_catalog.current_setting('primary_conninfo') = ''
  END AS archive_only,
  sent.unsent_bytes,
  sent.standbys
FROM (
  -- On a primary: the standby that is furthest behind. pg_basebackup and pg_receivewal replay
  -- nothing, a logical subscriber confirms in its own time: its slot tells how far it is.
  SELECT
    pg_catalog.max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), flush_lsn))::pg_catalog.float8 AS unsent_bytes,
    pg_catalog.count(*) AS standbys
  FROM pg_catalog.pg_stat_replication AS sender
  WHERE
    replay_lsn IS NOT NULL
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_replication_slots AS slot
      WHERE slot.active_pid = sender.pid AND slot.slot_type = 'logical'
    )
    AND NOT pg_catalog.pg_is_in_recovery()
) AS sent
