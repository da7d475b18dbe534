/*
about = "When the server started, and its version."
every_s = 30

[metrics.pg_postmaster_start_time_seconds]
unit = "s"
help = "When the server started, in seconds since 1970."
column = "start_time_seconds"

[metrics.pg_conf_load_time_seconds]
unit = "s"
help = "When the server last read its configuration, in seconds since 1970."
column = "conf_load_time_seconds"

[metrics.pg_static]
unit = "1"
help = "Always 1; the labels have the server's version."
column = "static"
labels = ["short_version", "version"]
*/
SELECT
  extract(EPOCH FROM pg_catalog.pg_postmaster_start_time()) AS start_time_seconds,
  1 AS static,
  extract(EPOCH FROM pg_catalog.pg_conf_load_time()) AS conf_load_time_seconds,
  pg_catalog.version() AS version,
  pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) || '.0' AS short_version
