/*
about = "The WAL archive of dbopsd's backups, by the replication slot that follows it."
every_s = 10
role = "primary"
labels = ["slot_name"]

[metrics.pg_wal_archive_lag_bytes]
unit = "By"
help = "WAL that is written and not in the archive yet."
column = "lag_bytes"

[metrics.pg_wal_archive_lsn_bytes]
unit = "By"
help = "Position in the WAL up to which the archive has it."
column = "lsn_bytes"

[metrics.pg_wal_archive_receivers]
unit = "{receiver}"
help = "Receivers of the archive that the server sends WAL to. 0: nothing receives it."
column = "receivers"
*/
SELECT
  slot.slot_name::pg_catalog.text AS slot_name,
  greatest(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), slot.restart_lsn), 0) AS lag_bytes,
  pg_catalog.pg_wal_lsn_diff(slot.restart_lsn, '0/0') AS lsn_bytes,
  (
    SELECT pg_catalog.count(*)
    FROM pg_catalog.pg_stat_replication AS sender
    WHERE sender.application_name = slot.slot_name::pg_catalog.text
  ) AS receivers
FROM pg_catalog.pg_replication_slots AS slot
WHERE slot.slot_name LIKE 'dbopsd\_%%' AND slot.slot_type = 'physical'
