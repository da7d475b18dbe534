-- summary: SELECT pg_is_in_recovery
SELECT pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.current_setting('server_version') AS server_version
