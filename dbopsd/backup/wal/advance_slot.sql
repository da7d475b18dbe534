-- summary: SELECT pg_replication_slot_advance
SELECT FROM pg_catalog.pg_replication_slot_advance(%(slot)s, %(lsn)s::pg_catalog.text::pg_catalog.pg_lsn)
