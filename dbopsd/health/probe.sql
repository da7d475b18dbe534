-- summary: SELECT pg_is_in_recovery
SELECT pg_is_in_recovery() AS standby, current_setting('server_version') AS server_version
