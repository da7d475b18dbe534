-- summary: SELECT pg_create_physical_replication_slot
SELECT FROM pg_catalog.pg_create_physical_replication_slot(%(slot)s, true)
