/*
about = "Logical replication slots that nobody reads, and that keep WAL and old rows of the catalogue."
kinds = ["unused_slot"]
severity = "warning"
risk = "A consumer of the slot that comes back has to begin anew with a copy of everything."
needs = ["slot_bytes"]
*/
WITH slots AS (
  SELECT
    s.slot_name,
    s.plugin,
    s.database,
    s.wal_status,
    (pg_catalog.to_jsonb(s) ->> 'inactive_since')::pg_catalog.timestamptz AS inactive_since,
    pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn) AS kept_bytes
  FROM pg_catalog.pg_replication_slots AS s
  WHERE s.slot_type = 'logical' AND NOT s.active AND NOT s.temporary
)

SELECT
  s.slot_name::pg_catalog.text AS object,
  pg_catalog.format('Start the consumer of slot %%s, or drop it: it keeps %%s of WAL', s.slot_name, pg_catalog.pg_size_pretty(s.kept_bytes)) AS title,
  CASE WHEN s.inactive_since < pg_catalog.now() - interval '1 day' THEN 'high' ELSE 'low' END AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('kept_wal', pg_catalog.pg_size_pretty(s.kept_bytes), 'pg_replication_slots.restart_lsn'),
    pg_catalog.jsonb_build_array('wal_status', s.wal_status, 'pg_replication_slots'),
    pg_catalog.jsonb_build_array('plugin', s.plugin::pg_catalog.text, 'pg_replication_slots'),
    pg_catalog.jsonb_build_array('database', s.database::pg_catalog.text, 'pg_replication_slots'),
    pg_catalog.jsonb_build_array('inactive_since', s.inactive_since::pg_catalog.text, 'pg_replication_slots')
  ) AS evidence,
  'the disk does not fill with WAL, and vacuum removes dead rows of the catalogue' AS gain,
  ARRAY[pg_catalog.format('SELECT pg_catalog.pg_drop_replication_slot(%%L)', s.slot_name)] AS sql,
  ARRAY[
    'whether its consumer comes back',
    CASE WHEN s.inactive_since IS NULL THEN 'since when it is not read: PostgreSQL before 17 does not say' END
  ] AS not_known
FROM slots AS s
WHERE s.kept_bytes > %(slot_bytes)s
