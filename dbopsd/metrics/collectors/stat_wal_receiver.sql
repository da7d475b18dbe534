/*
about = "The WAL receiver of a standby, from pg_stat_wal_receiver."
every_s = 10
role = "standby"
prefix = "pg_stat_wal_receiver_"
labels = ["upstream_host", "slot_name", "status"]

[metrics.pg_stat_wal_receiver_receive_start_lsn]
type = "counter"
unit = "By"
help = "Position at which it began to receive."

[metrics.pg_stat_wal_receiver_receive_start_tli]
unit = "1"
help = "Timeline at which it began to receive."

[metrics.pg_stat_wal_receiver_flushed_lsn]
type = "counter"
unit = "By"
help = "Position up to which WAL is synchronised."

[metrics.pg_stat_wal_receiver_received_tli]
unit = "1"
help = "Timeline of the WAL that was synchronised last."

[metrics.pg_stat_wal_receiver_last_msg_send_time]
type = "counter"
unit = "s"
help = "When the sender sent its last message, in seconds since 1970."

[metrics.pg_stat_wal_receiver_last_msg_receipt_time]
type = "counter"
unit = "s"
help = "When its last message was received, in seconds since 1970."

[metrics.pg_stat_wal_receiver_latest_end_lsn]
type = "counter"
unit = "By"
help = "Position that was last reported to the sender."

[metrics.pg_stat_wal_receiver_latest_end_time]
type = "counter"
unit = "s"
help = "When a position was last reported, in seconds since 1970."

[metrics.pg_stat_wal_receiver_message_age_seconds]
unit = "s"
help = "Time since the sender's last message."
*/
SELECT
  coalesce(r.sender_host, '') AS upstream_host,
  coalesce(r.slot_name, '') AS slot_name,
  coalesce(r.status, '') AS status,
  pg_catalog.pg_wal_lsn_diff(r.receive_start_lsn, '0/0') AS receive_start_lsn,
  r.receive_start_tli,
  pg_catalog.pg_wal_lsn_diff(r.flushed_lsn, '0/0') AS flushed_lsn,
  r.received_tli,
  extract(EPOCH FROM r.last_msg_send_time) AS last_msg_send_time,
  extract(EPOCH FROM r.last_msg_receipt_time) AS last_msg_receipt_time,
  pg_catalog.pg_wal_lsn_diff(r.latest_end_lsn, '0/0') AS latest_end_lsn,
  extract(EPOCH FROM r.latest_end_time) AS latest_end_time,
  greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - r.last_msg_receipt_time), 0) AS message_age_seconds
FROM pg_catalog.pg_stat_wal_receiver AS r
