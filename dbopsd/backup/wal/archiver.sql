-- summary: SELECT pg_stat_archiver
SELECT
  last_archived_time,
  coalesce(last_archived_wal, '') AS last_archived_wal,
  coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing
FROM pg_catalog.pg_stat_archiver
