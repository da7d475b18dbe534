/*
about = "Settings whose change waits for a restart."
every_s = 60
prefix = "pg_settings_"

[metrics.pg_settings_pending_restart]
unit = "{setting}"
help = "Settings whose change waits for a restart."
*/
SELECT pg_catalog.count(*) FILTER (WHERE s.pending_restart) AS pending_restart
FROM pg_catalog.pg_settings AS s
