/*
about = "The position in the WAL."
every_s = 10

[metrics.pg_xlog_location_bytes]
unit = "By"
help = "Position in the WAL in bytes: written on a primary, replayed on a standby."
column = "bytes"
*/
SELECT
  pg_catalog.pg_wal_lsn_diff(
    CASE
      WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
      ELSE pg_catalog.pg_current_wal_lsn()
    END, '0/0'
  ) AS bytes
