/*
about = "The server's role, and how far a standby is behind, under postgres_exporter's names."
every_s = 10
prefix = "pg_replication_"

[metrics.pg_replication_is_replica]
unit = "1"
help = "1 on a standby, 0 on a primary."

[metrics.pg_replication_lag_seconds]
unit = "s"
help = "Age of the last replayed transaction of a standby that has not replayed all it received. 0 on a primary, and 0 on a standby that is cut off: look at pg_wal_receivers too."

[metrics.pg_replication_last_replay_seconds]
unit = "s"
help = "Age of the last replayed transaction of a standby. 0 on a primary."
*/
SELECT
  pg_catalog.pg_is_in_recovery()::pg_catalog.int4 AS is_replica,
  CASE
    WHEN NOT pg_catalog.pg_is_in_recovery() THEN 0
    WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN 0
    ELSE greatest(coalesce(extract(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()), 0), 0)
  END AS lag_seconds,
  CASE
    WHEN NOT pg_catalog.pg_is_in_recovery() THEN 0
    ELSE greatest(coalesce(extract(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()), 0), 0)
  END AS last_replay_seconds
