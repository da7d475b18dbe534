-- summary: SELECT cluster host
SELECT
  recovery.active AS in_recovery,
  pg_catalog.current_setting('transaction_read_only')::bool AS read_only,
  -- The checkpoint's timeline is the old one for a while after a promotion.
  CASE
    WHEN NOT recovery.active
      THEN pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
  END AS timeline,
  pg_catalog.pg_wal_lsn_diff(
    CASE
      WHEN recovery.active THEN pg_catalog.pg_last_wal_receive_lsn()
      ELSE pg_catalog.pg_current_wal_flush_lsn()
    END,
    '0/0'
  )::int8 AS wal_position,
  receiver.pid AS receiver_pid,
  -- NULL for a role without pg_read_all_stats, to which a receiver's process is all that shows.
  coalesce(receiver.status, 'streaming') = 'streaming' AS receiving,
  -- A standby may be fed by restore_command alone.
  coalesce(
    CASE
      WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')
        THEN pg_catalog.current_setting('primary_conninfo') = ''
    END,
    false
  ) AS archive_only,
  extract(
    EPOCH FROM pg_catalog.current_setting('wal_receiver_status_interval')::interval
  )::float8 AS status_interval_s,
  -- How long ago each standby reported to this server. pg_basebackup and pg_receivewal replay
  -- nothing, and a logical subscriber is no standby. NULL where the role may not see them.
  CASE
    WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
      THEN array(
        SELECT extract(EPOCH FROM pg_catalog.clock_timestamp() - sender.reply_time)::float8
        FROM pg_catalog.pg_stat_replication AS sender
        WHERE
          sender.state = 'streaming'
          AND sender.replay_lsn IS NOT NULL
          AND sender.reply_time IS NOT NULL
          AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_replication_slots AS slot
            WHERE slot.active_pid = sender.pid AND slot.slot_type = 'logical'
          )
      )
  END AS report_ages_s
FROM (SELECT pg_catalog.pg_is_in_recovery() AS active) AS recovery
LEFT JOIN pg_catalog.pg_stat_wal_receiver AS receiver ON true
