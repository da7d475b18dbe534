-- summary: SELECT pg_class
SELECT pg_catalog.pg_get_userbyid(relowner), pg_catalog.pg_get_userbyid(relowner) = current_user FROM pg_catalog.pg_class WHERE oid = %s
