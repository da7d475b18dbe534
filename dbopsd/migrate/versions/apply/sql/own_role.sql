-- summary: SET LOCAL ROLE
-- For what follows in the same message: as who connected, whoever the file has become.
SELECT pg_catalog.set_config('session_authorization', r.rolname, true)
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a
JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.usesysid
WHERE r.rolname OPERATOR(pg_catalog.<>) session_user;
SELECT
    -- NULL: as the session began, which may be as another role than the one that connected.
    pg_catalog.set_config('role', NULL, true),
    pg_catalog.set_config('search_path', 'pg_catalog', true),
    pg_catalog.set_config('lock_timeout', '0', true),
    pg_catalog.set_config('statement_timeout', '0', true);
