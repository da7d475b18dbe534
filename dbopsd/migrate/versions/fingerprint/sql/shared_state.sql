-- summary: SELECT pg_roles
SELECT
    pg_catalog.pg_postmaster_start_time(),
    pg_catalog.count(*),
    pg_catalog.sum(pg_catalog.hashtextextended(r.rolname::pg_catalog.text, 0))
FROM pg_catalog.pg_roles AS r
