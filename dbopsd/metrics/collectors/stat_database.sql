/*
about = "Activity by database, from pg_stat_database."
every_s = 10
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
SELECT
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
  d.checksum_failures,
  d.session_time,
  d.idle_in_transaction_time,
  d.sessions,
  d.sessions_abandoned,
  d.sessions_fatal,
  d.sessions_killed,
  coalesce(extract(EPOCH FROM d.stats_reset), 0) AS stats_reset,
  d.active_time,
  d.active_time / 1000 AS active_time_seconds
FROM pg_catalog.pg_stat_database AS d
-- Row 0 counts access to shared catalogs, in no database.
WHERE d.datid <> 0
ORDER BY d.xact_commit + d.xact_rollback DESC
LIMIT %(top_databases)s
