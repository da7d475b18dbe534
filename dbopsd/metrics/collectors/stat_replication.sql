/*
about = "Standbys and other receivers of WAL, from pg_stat_replication."
every_s = 10
full_privilege = "pg_read_all_stats"
prefix = "pg_stat_replication_"
labels = ["application_name", "client_addr", "state", "slot_name", "pid"]

[metrics.pg_stat_replication_pg_current_wal_lsn_bytes]
unit = "By"
help = "Position in the WAL in bytes."

[metrics.pg_stat_replication_pg_wal_lsn_diff]
unit = "By"
help = "Bytes of WAL that the receiver has not replayed."

[metrics.pg_stat_replication_write_lag_seconds]
unit = "s"
help = "Time until the receiver had written recent WAL. No sample once it has caught up and nothing is written."

[metrics.pg_stat_replication_flush_lag_seconds]
unit = "s"
help = "Time until the receiver had synchronised recent WAL."

[metrics.pg_stat_replication_replay_lag_seconds]
unit = "s"
help = "Time until the receiver had replayed recent WAL."

[metrics.pg_stat_replication_reply_age_seconds]
unit = "s"
help = "Time since the receiver's last message: it grows when the connection is cut, however little WAL is written."

[metrics.pg_stat_replication_synchronous]
unit = "1"
help = "1 if commits wait for this receiver."
*/
WITH here AS (
  SELECT
    CASE
      WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
      ELSE pg_catalog.pg_current_wal_lsn()
    END AS lsn
)

SELECT
  coalesce(r.application_name, '') AS application_name,
  coalesce(pg_catalog.host(r.client_addr), '') AS client_addr,
  coalesce(r.state, '') AS state,
  coalesce(s.slot_name::pg_catalog.text, '') AS slot_name,
  r.pid::pg_catalog.text AS pid,
  pg_catalog.pg_wal_lsn_diff(h.lsn, '0/0') AS pg_current_wal_lsn_bytes,
  greatest(pg_catalog.pg_wal_lsn_diff(h.lsn, r.replay_lsn), 0) AS pg_wal_lsn_diff,
  extract(EPOCH FROM r.write_lag) AS write_lag_seconds,
  extract(EPOCH FROM r.flush_lag) AS flush_lag_seconds,
  extract(EPOCH FROM r.replay_lag) AS replay_lag_seconds,
  greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - r.reply_time), 0) AS reply_age_seconds,
  (r.sync_state IN ('sync', 'quorum'))::pg_catalog.int4 AS synchronous
FROM pg_catalog.pg_stat_replication AS r
CROSS JOIN here AS h
LEFT JOIN pg_catalog.pg_replication_slots AS s ON r.pid = s.active_pid
