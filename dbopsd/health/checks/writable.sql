-- summary: SELECT pg_is_in_recovery writable
SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only')::bool AS read_only
