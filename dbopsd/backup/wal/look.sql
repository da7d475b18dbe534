-- summary: SELECT position of the WAL and its slot
SELECT
  system.system_identifier::pg_catalog.text AS system_identifier,
  pg_catalog.clock_timestamp() AS at,
  (
    'x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
  )::pg_catalog.bit(32)::pg_catalog.int8 AS timeline,
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.int8 AS insert_lsn,
  init.bytes_per_wal_segment AS segment_bytes,
  init.wal_block_size AS block_bytes,
  slot.slot_name IS NOT NULL AS slot_exists,
  -- NULL: it reserves nothing.
  pg_catalog.pg_wal_lsn_diff(slot.restart_lsn, '0/0')::pg_catalog.int8 AS restart_lsn,
  coalesce(slot.wal_status, '') = 'lost' AS slot_lost,
  receivers.count AS receivers,
  -- Of one that has died, and that the server does not know to have, it stands still.
  pg_catalog.pg_wal_lsn_diff(receivers.flush_lsn, '0/0')::pg_catalog.int8 AS received_lsn
FROM pg_catalog.pg_control_system() AS system
CROSS JOIN pg_catalog.pg_control_init() AS init
LEFT JOIN pg_catalog.pg_replication_slots AS slot
  ON slot.slot_name = %(slot)s AND slot.slot_type = 'physical'
CROSS JOIN (
  SELECT
    pg_catalog.count(*) AS count,
    pg_catalog.min(sender.flush_lsn) AS flush_lsn
  FROM pg_catalog.pg_stat_replication AS sender
  WHERE sender.application_name = %(slot)s
) AS receivers
