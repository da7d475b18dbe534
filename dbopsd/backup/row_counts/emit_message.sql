-- summary: SELECT pg_logical_emit_message
SELECT pg_catalog.pg_logical_emit_message(true, 'dbopsd', 'rows counted')
