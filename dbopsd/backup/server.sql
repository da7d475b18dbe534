-- summary: SELECT server of a backup
SELECT
  system.system_identifier::pg_catalog.text AS system_identifier,
  pg_catalog.current_setting('server_version') AS version,
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 AS major,
  recovery.active AS in_recovery,
  -- The checkpoint's timeline is the old one for a while after a promotion.
  CASE
    WHEN recovery.active THEN greatest(checkpoint.timeline_id, receiver.received_tli)
    ELSE (
      'x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
    )::pg_catalog.bit(32)::pg_catalog.int8
  END AS timeline,
  init.bytes_per_wal_segment AS segment_bytes,
  init.data_page_checksum_version > 0 AS checksums,
  CASE
    WHEN recovery.active THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_lsn()
  END::pg_catalog.text AS lsn,
  -- PostgreSQL 17 has it.
  coalesce(pg_catalog.current_setting('summarize_wal', true) = 'on', false) AS summarizes_wal
FROM (SELECT pg_catalog.pg_is_in_recovery() AS active) AS recovery
CROSS JOIN pg_catalog.pg_control_system() AS system
CROSS JOIN pg_catalog.pg_control_init() AS init
CROSS JOIN pg_catalog.pg_control_checkpoint() AS checkpoint
LEFT JOIN pg_catalog.pg_stat_wal_receiver AS receiver ON true
