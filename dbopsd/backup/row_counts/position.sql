-- summary: SELECT pg_current_wal_insert_lsn
SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text
