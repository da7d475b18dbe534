-- summary: SELECT pg_database
-- The oid of this database, its search path for this role, and whether the role may make databases.
SELECT d.oid::pg_catalog.int8, pg_catalog.current_setting('search_path'),
    r.rolcreatedb OR r.rolsuper, r.rolname::pg_catalog.text
FROM pg_catalog.pg_database AS d
CROSS JOIN pg_catalog.pg_roles AS r
WHERE d.datname = pg_catalog.current_database() AND r.rolname = CURRENT_USER
