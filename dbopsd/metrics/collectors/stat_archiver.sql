/*
about = "The archiver, from pg_stat_archiver. No samples with archive_mode off."
every_s = 10
prefix = "pg_stat_archiver_"

[metrics.pg_stat_archiver_archived_count]
type = "counter"
unit = "{file}"
help = "WAL files archived."

[metrics.pg_stat_archiver_failed_count]
type = "counter"
unit = "{attempt}"
help = "Failed attempts to archive a WAL file."

[metrics.pg_stat_archiver_last_archive_age]
unit = "s"
help = "Time since the last WAL file was archived. No sample before the first one."

[metrics.pg_stat_archiver_last_failed_time]
unit = "s"
help = "When an attempt last failed, in seconds since 1970. No sample before the first one."
*/
SELECT
  a.archived_count,
  a.failed_count,
  extract(EPOCH FROM pg_catalog.clock_timestamp() - a.last_archived_time) AS last_archive_age,
  extract(EPOCH FROM a.last_failed_time) AS last_failed_time
FROM pg_catalog.pg_stat_archiver AS a
WHERE pg_catalog.current_setting('archive_mode') <> 'off'
