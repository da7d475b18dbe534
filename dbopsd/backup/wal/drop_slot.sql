-- summary: SELECT pg_drop_replication_slot
SELECT pg_catalog.pg_drop_replication_slot(slot_name)
FROM pg_catalog.pg_replication_slots
WHERE slot_name = %(slot)s
  AND NOT active
  -- Not one that another receiver has just created.
  AND (restart_lsn IS NULL OR wal_status = 'lost')
