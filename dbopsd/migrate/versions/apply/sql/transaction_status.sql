-- summary: SELECT pg_xact_status
SELECT pg_catalog.pg_xact_status(%(transaction)s::pg_catalog.xid8)
