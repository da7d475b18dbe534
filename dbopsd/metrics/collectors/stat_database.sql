/*
about = "Activity by database, from pg_stat_database."
every_s = 10
top = "databases"
prefix = "pg_stat_database_"
labels = ["datid", "datname"]

[metrics.pg_stat_database_numbackends]
unit = "{connection}"
help = "Sessions in the database now."

[metrics.pg_stat_database_xact_commit]
type = "counter"
unit = "{transaction}"
help = "Transactions committed."

[metrics.pg_stat_database_xact_rollback]
type = "counter"
unit = "{transaction}"
help = "Transactions rolled back."

[metrics.pg_stat_database_blks_read]
type = "counter"
unit = "{block}"
help = "Blocks read from the system."

[metrics.pg_stat_database_blks_hit]
type = "counter"
unit = "{block}"
help = "Blocks found in shared buffers."

[metrics.pg_stat_database_tup_returned]
type = "counter"
unit = "{row}"
help = "Live rows fetched by sequential scans, and index entries returned by index scans."

[metrics.pg_stat_database_tup_fetched]
type = "counter"
unit = "{row}"
help = "Live rows fetched by index scans."

[metrics.pg_stat_database_tup_inserted]
type = "counter"
unit = "{row}"
help = "Rows inserted."

[metrics.pg_stat_database_tup_updated]
type = "counter"
unit = "{row}"
help = "Rows updated."

[metrics.pg_stat_database_tup_deleted]
type = "counter"
unit = "{row}"
help = "Rows deleted."

[metrics.pg_stat_database_conflicts]
type = "counter"
unit = "{query}"
help = "Queries cancelled because of conflicts with recovery; on standbys only."

[metrics.pg_stat_database_temp_files]
type = "counter"
unit = "{file}"
help = "Temporary files created."

[metrics.pg_stat_database_temp_bytes]
type = "counter"
unit = "By"
help = "Bytes written to temporary files."

[metrics.pg_stat_database_deadlocks]
type = "counter"
unit = "{deadlock}"
help = "Deadlocks found."

[metrics.pg_stat_database_blk_read_time]
type = "counter"
unit = "ms"
help = "Time spent in reading blocks. 0 if track_io_timing is off."

[metrics.pg_stat_database_blk_write_time]
type = "counter"
unit = "ms"
help = "Time spent in writing blocks. 0 if track_io_timing is off."

[metrics.pg_stat_database_checksum_failures]
type = "counter"
unit = "{page}"
help = "Pages whose checksum is wrong. No sample without data checksums."

[metrics.pg_stat_database_session_time]
type = "counter"
unit = "ms"
help = "Time spent by sessions."

[metrics.pg_stat_database_idle_in_transaction_time]
type = "counter"
unit = "ms"
help = "Time that sessions were idle in a transaction."

[metrics.pg_stat_database_sessions]
type = "counter"
unit = "{session}"
help = "Sessions begun."

[metrics.pg_stat_database_sessions_abandoned]
type = "counter"
unit = "{session}"
help = "Sessions that ended because the connection was lost."

[metrics.pg_stat_database_sessions_fatal]
type = "counter"
unit = "{session}"
help = "Sessions that ended by an error."

[metrics.pg_stat_database_sessions_killed]
type = "counter"
unit = "{session}"
help = "Sessions that were terminated."

[metrics.pg_stat_database_stats_reset]
type = "counter"
unit = "s"
help = "When the statistics were last reset, in seconds since 1970. 0 if they never were."

[metrics.pg_stat_database_active_time_seconds_total]
type = "counter"
unit = "s"
help = "Time spent in executing statements."
column = "active_time_seconds"

[metrics.pg_stat_database_active_time]
type = "counter"
unit = "ms"
help = "Time spent in executing statements: the name before `pg_stat_database_active_time_seconds_total`."
*/
WITH databases AS MATERIALIZED (
  SELECT
    d.*,
    -- One's own has a series whatever the others do.
    CASE
      WHEN d.datname = pg_catalog.current_database() THEN 9223372036854775807
      ELSE d.xact_commit + d.xact_rollback
    END AS activity,
    d.active_time / 1000 AS active_time_seconds
  FROM pg_catalog.pg_stat_database AS d
  -- Row 0 counts access to shared catalogs, in no database.
  WHERE d.datid <> 0
),

shown AS (
  SELECT d.datid
  FROM databases AS d
  WHERE d.datid = ANY(%(members)s::pg_catalog.oid[])
  UNION
  (
    SELECT d.datid
    FROM databases AS d
    ORDER BY d.activity DESC, d.datid
    LIMIT %(top)s
  )
)

SELECT
  d.datid::pg_catalog.text AS top_key,
  d.activity,
  d.datid::pg_catalog.text AS datid,
  d.datname::pg_catalog.text AS datname,
  d.numbackends,
  d.xact_commit,
  d.xact_rollback,
  d.blks_read,
  d.blks_hit,
  d.tup_returned,
  d.tup_fetched,
  d.tup_inserted,
  d.tup_updated,
  d.tup_deleted,
  d.conflicts,
  d.temp_files,
  d.temp_bytes,
  d.deadlocks,
  d.blk_read_time,
  d.blk_write_time,
  d.session_time,
  d.idle_in_transaction_time,
  d.sessions,
  d.sessions_abandoned,
  d.sessions_fatal,
  d.sessions_killed,
  d.active_time,
  d.active_time_seconds,
  d.checksum_failures,
  coalesce(extract(EPOCH FROM d.stats_reset), 0) AS stats_reset
FROM databases AS d
INNER JOIN shown AS s ON d.datid = s.datid
UNION ALL
SELECT
  NULL,
  pg_catalog.count(*),
  '',
  '(others)',
  coalesce(pg_catalog.sum(d.numbackends), 0),
  coalesce(pg_catalog.sum(d.xact_commit), 0),
  coalesce(pg_catalog.sum(d.xact_rollback), 0),
  coalesce(pg_catalog.sum(d.blks_read), 0),
  coalesce(pg_catalog.sum(d.blks_hit), 0),
  coalesce(pg_catalog.sum(d.tup_returned), 0),
  coalesce(pg_catalog.sum(d.tup_fetched), 0),
  coalesce(pg_catalog.sum(d.tup_inserted), 0),
  coalesce(pg_catalog.sum(d.tup_updated), 0),
  coalesce(pg_catalog.sum(d.tup_deleted), 0),
  coalesce(pg_catalog.sum(d.conflicts), 0),
  coalesce(pg_catalog.sum(d.temp_files), 0),
  coalesce(pg_catalog.sum(d.temp_bytes), 0),
  coalesce(pg_catalog.sum(d.deadlocks), 0),
  coalesce(pg_catalog.sum(d.blk_read_time), 0),
  coalesce(pg_catalog.sum(d.blk_write_time), 0),
  coalesce(pg_catalog.sum(d.session_time), 0),
  coalesce(pg_catalog.sum(d.idle_in_transaction_time), 0),
  coalesce(pg_catalog.sum(d.sessions), 0),
  coalesce(pg_catalog.sum(d.sessions_abandoned), 0),
  coalesce(pg_catalog.sum(d.sessions_fatal), 0),
  coalesce(pg_catalog.sum(d.sessions_killed), 0),
  coalesce(pg_catalog.sum(d.active_time), 0),
  coalesce(pg_catalog.sum(d.active_time_seconds), 0),
  pg_catalog.sum(d.checksum_failures),
  NULL
FROM databases AS d
WHERE d.datid <> ALL(%(members)s::pg_catalog.oid[])
