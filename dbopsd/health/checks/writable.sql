-- summary: SELECT pg_is_in_recovery writable
SELECT pg_catalog.pg_is_in_recovery() AS standby, pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool AS read_only
