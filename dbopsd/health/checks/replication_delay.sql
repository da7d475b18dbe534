-- summary: SELECT pg_stat_replication delay
SELECT
  pg_has_role('pg_read_all_stats', 'USAGE') AS permitted,
  pg_is_in_recovery() AS standby,
  -- A standby that streams and has replayed all of it is up to date, however old the last commit.
  coalesce(
    (
      SELECT
        status = 'streaming'
        AND (
          current_setting('wal_receiver_timeout')::interval = '0'::interval
          OR clock_timestamp() - last_msg_receipt_time
          < current_setting('wal_receiver_timeout')::interval / 2 + '5s'::interval
        )
      FROM pg_stat_wal_receiver
    )
    AND pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn(),
    false
  ) AS up_to_date,
  extract(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS replay_age_s,
  extract(EPOCH FROM current_setting('recovery_min_apply_delay')::interval)::float8 AS meant_s,
  -- What the walsender last measured, or how long the standby has not said anything at all: it is
  -- asked for a sign of life after half of wal_sender_timeout.
  (
    SELECT
      max(
        greatest(
          extract(EPOCH FROM replay_lag),
          CASE
            WHEN
              clock_timestamp() - reply_time
              > coalesce(
                nullif(current_setting('wal_sender_timeout')::interval, '0'::interval) / 2
                + '5s'::interval,
                '60s'::interval
              )
              THEN extract(EPOCH FROM clock_timestamp() - reply_time)
          END,
          0
        )
      )::float8
    FROM pg_stat_replication AS sender
    WHERE
      replay_lsn IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM pg_replication_slots AS slot
        WHERE slot.active_pid = sender.pid AND slot.slot_type = 'logical'
      )
  ) AS standby_delay_s
