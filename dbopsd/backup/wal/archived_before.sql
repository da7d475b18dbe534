-- summary: SELECT whether WAL was archived
SELECT
  EXISTS (
    SELECT
    FROM pg_catalog.pg_replication_slots AS slot
    WHERE slot.slot_name OPERATOR(pg_catalog.=) %(slot)s
      AND slot.slot_type OPERATOR(pg_catalog.=) 'physical'
  ) AS has_slot,
  archiver.archived_count OPERATOR(pg_catalog.>) 0
    AND pg_catalog.current_setting('archive_command')
      OPERATOR(pg_catalog.~~) '%%dbopsd%% wal push %%' AS has_pushed
FROM pg_catalog.pg_stat_archiver AS archiver
