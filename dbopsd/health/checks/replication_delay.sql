-- summary: SELECT pg_stat_replication delay
SELECT
  pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS permitted,
  pg_catalog.pg_is_in_recovery() AS standby,
  -- A standby that streams and has replayed all of it is up to date, however old the last commit.
  coalesce(
    (
      SELECT
        status = 'streaming'
        AND (
          pg_catalog.current_setting('wal_receiver_timeout')::pg_catalog.interval = '0'::pg_catalog.interval
          OR pg_catalog.clock_timestamp() - last_msg_receipt_time
          < pg_catalog.current_setting('wal_receiver_timeout')::pg_catalog.interval / 2 + '5s'::pg_catalog.interval
        )
      FROM pg_catalog.pg_stat_wal_receiver
    )
    AND pg_catalog.pg_last_wal_receive_lsn() <= pg_catalog.pg_last_wal_replay_lsn(),
    false
  ) AS up_to_date,
  extract(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::pg_catalog.float8 AS replay_age_s,
  extract(EPOCH FROM pg_catalog.current_setting('recovery_min_apply_delay')::pg_catalog.interval)::pg_catalog.float8 AS meant_s,
  -- What the walsender last measured, or how long the standby has not said anything at all: it is
  -- asked for a sign of life after half of wal_sender_timeout.
  (
    SELECT
      pg_catalog.max(
        greatest(
          extract(EPOCH FROM replay_lag),
          CASE
            WHEN
              pg_catalog.clock_timestamp() - reply_time
              > coalesce(
                nullif(pg_catalog.current_setting('wal_sender_timeout')::pg_catalog.interval, '0'::pg_catalog.interval) / 2
                + '5s'::pg_catalog.interval,
                '60s'::pg_catalog.interval
              )
              THEN extract(EPOCH FROM pg_catalog.clock_timestamp() - reply_time)
          END,
          0
        )
      )::pg_catalog.float8
    FROM pg_catalog.pg_stat_replication AS sender
    WHERE
      replay_lsn IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_replication_slots AS slot
        WHERE slot.active_pid = sender.pid AND slot.slot_type = 'logical'
      )
  ) AS standby_delay_s
