/*
about = "Long commands that run, and how much of them is done, from the progress views."
every_s = 10
full_privilege = "pg_read_all_stats"
prefix = "pg_progress_"
labels = ["command", "datname", "relname", "phase", "pid"]

[metrics.pg_progress_done_ratio]
unit = "1"
help = "How much of the present phase is done, 0 to 1. No sample where PostgreSQL does not know how much there is."

[metrics.pg_progress_running_seconds]
unit = "s"
help = "How long the command has been running."
*/
WITH running AS (
  SELECT 'VACUUM' AS command, pid, datname, relid, phase, heap_blks_scanned::pg_catalog.float8 AS done, heap_blks_total::pg_catalog.float8 AS total
  FROM pg_catalog.pg_stat_progress_vacuum
  UNION ALL
  SELECT 'ANALYZE', pid, datname, relid, phase, sample_blks_scanned, sample_blks_total
  FROM pg_catalog.pg_stat_progress_analyze
  UNION ALL
  SELECT command, pid, datname, relid, phase, greatest(blocks_done, tuples_done), greatest(blocks_total, tuples_total)
  FROM pg_catalog.pg_stat_progress_create_index
  UNION ALL
  SELECT command, pid, datname, relid, phase, heap_blks_scanned, heap_blks_total
  FROM pg_catalog.pg_stat_progress_cluster
  UNION ALL
  SELECT command, pid, datname, relid, type, bytes_processed, nullif(bytes_total, 0)
  FROM pg_catalog.pg_stat_progress_copy
  UNION ALL
  SELECT 'BASE BACKUP', pid, NULL, NULL, phase, backup_streamed, backup_total
  FROM pg_catalog.pg_stat_progress_basebackup
)

SELECT
  r.command,
  coalesce(r.datname::pg_catalog.text, '') AS datname,
  CASE
    WHEN r.datname = pg_catalog.current_database() THEN coalesce(c.relname::pg_catalog.text, r.relid::pg_catalog.text)
    ELSE coalesce(r.relid::pg_catalog.text, '')
  END AS relname,
  coalesce(r.phase, '') AS phase,
  r.pid::pg_catalog.text AS pid,
  CASE WHEN r.total > 0 THEN least(r.done / r.total, 1) END AS done_ratio,
  greatest(extract(EPOCH FROM pg_catalog.clock_timestamp() - a.query_start), 0) AS running_seconds
FROM running AS r
LEFT JOIN pg_catalog.pg_stat_activity AS a ON r.pid = a.pid
LEFT JOIN pg_catalog.pg_class AS c ON r.relid = c.oid
