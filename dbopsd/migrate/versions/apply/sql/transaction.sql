-- summary: SELECT pg_current_xact_id
SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text
