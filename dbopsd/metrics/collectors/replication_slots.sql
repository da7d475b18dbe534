/*
about = "Replication slots and the WAL that they keep, from pg_replication_slots."
every_s = 10
prefix = "pg_replication_slots_"
labels = ["slot_name", "slot_type"]

[metrics.pg_replication_slots_active]
unit = "1"
help = "1 if a consumer is connected."
labels = ["slot_name", "database"]
column = "active"

[metrics.pg_replication_slots_pg_wal_lsn_diff]
unit = "By"
help = "Bytes of WAL that the slot keeps back."
labels = ["slot_name", "database"]
column = "pg_wal_lsn_diff"

[metrics.pg_replication_slots_slot_current_wal_lsn]
unit = "By"
help = "Position in the WAL in bytes."
column = "current_wal_lsn"

[metrics.pg_replication_slots_slot_confirmed_flush_lsn]
unit = "By"
help = "Position that the consumer has confirmed, while it is connected."
column = "confirmed_flush_lsn"

[metrics.pg_replication_slots_slot_is_active]
unit = "1"
help = "1 if a consumer is connected: pg_replication_slots_active with other labels."
column = "active"

[metrics.pg_replication_slots_safe_wal_size_bytes]
unit = "By"
help = "Bytes of WAL until the slot may be lost. No sample without max_slot_wal_keep_size."
column = "safe_wal_size"

[metrics.pg_replication_slots_wal_status]
unit = "1"
help = "1, with the state of its WAL as a label: reserved, extended, unreserved or lost."
labels = ["slot_name", "slot_type", "wal_status"]
column = "has_status"
*/
WITH here AS (
  SELECT
    CASE
      WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
      ELSE pg_catalog.pg_current_wal_lsn()
    END AS lsn
)

SELECT
  s.slot_name::pg_catalog.text AS slot_name,
  coalesce(s.database::pg_catalog.text, '') AS database,
  s.slot_type,
  coalesce(s.wal_status, '') AS wal_status,
  s.active::pg_catalog.int4 AS active,
  greatest(pg_catalog.pg_wal_lsn_diff(h.lsn, s.restart_lsn), 0) AS pg_wal_lsn_diff,
  pg_catalog.pg_wal_lsn_diff(h.lsn, '0/0') AS current_wal_lsn,
  CASE WHEN s.active THEN pg_catalog.pg_wal_lsn_diff(s.confirmed_flush_lsn, '0/0') END AS confirmed_flush_lsn,
  s.safe_wal_size,
  CASE WHEN s.wal_status IS NOT NULL THEN 1 END AS has_status
FROM pg_catalog.pg_replication_slots AS s
CROSS JOIN here AS h
