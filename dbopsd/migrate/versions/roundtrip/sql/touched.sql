-- summary: SELECT pg_locks
-- What the open transaction changed that all databases of the server share. Who changes roles,
-- their settings and memberships, or subscriptions keeps a lock on the catalog; a row that is seen
-- and whose transaction is in progress is one's own.
SELECT CASE l.relation
    WHEN 'pg_catalog.pg_authid'::pg_catalog.regclass THEN 'roles'
    WHEN 'pg_catalog.pg_auth_members'::pg_catalog.regclass THEN 'roles'
    WHEN 'pg_catalog.pg_db_role_setting'::pg_catalog.regclass THEN 'settings of roles or databases'
    WHEN 'pg_catalog.pg_subscription'::pg_catalog.regclass THEN 'subscriptions'
    ELSE 'comments or labels of roles or databases' END
FROM pg_catalog.pg_locks AS l
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.database = 0
    AND l.mode = 'RowExclusiveLock' AND l.granted
    AND l.relation IN (
        'pg_catalog.pg_authid'::pg_catalog.regclass,
        'pg_catalog.pg_auth_members'::pg_catalog.regclass,
        'pg_catalog.pg_db_role_setting'::pg_catalog.regclass,
        'pg_catalog.pg_subscription'::pg_catalog.regclass,
        'pg_catalog.pg_shdescription'::pg_catalog.regclass,
        'pg_catalog.pg_shseclabel'::pg_catalog.regclass
    )
UNION ALL
SELECT x.what
FROM (
    SELECT 'databases', d.xmin FROM pg_catalog.pg_database AS d
    UNION ALL
    SELECT 'tablespaces', t.xmin FROM pg_catalog.pg_tablespace AS t
    UNION ALL
    SELECT 'privileges on settings', a.xmin FROM pg_catalog.pg_parameter_acl AS a
) AS x (what, xmin)
CROSS JOIN LATERAL (
    SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text::pg_catalog.int8
) AS own (xid)
WHERE x.xmin::pg_catalog.text::pg_catalog.int8 >= own.xid & 4294967295
    AND pg_catalog.pg_xact_status((
        own.xid - (own.xid & 4294967295) + x.xmin::pg_catalog.text::pg_catalog.int8
    )::pg_catalog.text::pg_catalog.xid8) = 'in progress'
