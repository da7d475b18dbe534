-- summary: SELECT pg_namespace
-- Whether the schema is there, which tables of the ledger, what of it belongs to somebody who could have code
-- run with the rights of this role (by a view in the place of a table, a trigger, a default), and which tables
-- may not show this role all of their rows.
WITH me AS (
    SELECT r.oid, r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user
), found (what, owner, is_kind, relation, is_guarded) AS (
    SELECT 'schema ' || n.nspname::pg_catalog.text, n.nspowner, true, NULL::pg_catalog.text, false
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname = %(schema)s::pg_catalog.text
    UNION ALL
    SELECT
        'relation ' || c.relname::pg_catalog.text, c.relowner, c.relkind = 'r', c.relname::pg_catalog.text,
        pg_catalog.row_security_active(c.oid)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s::pg_catalog.text
        AND c.relname IN ('migration_runs', 'schema_objects', 'schema_fingerprint', 'ledger_version')
)
SELECT
    EXISTS (SELECT FROM found AS f WHERE f.what LIKE 'schema %%'),
    ARRAY(SELECT f.relation FROM found AS f WHERE f.relation IS NOT NULL),
    coalesce((
        SELECT pg_catalog.string_agg(f.what || ' of role ' || o.rolname::pg_catalog.text, ', ' ORDER BY f.what)
        FROM found AS f
        CROSS JOIN me
        -- The owner of the database is the one member of pg_database_owner, and may give tables to it.
        JOIN pg_catalog.pg_roles AS o ON o.oid = CASE
            WHEN f.owner = 'pg_database_owner'::pg_catalog.regrole THEN (
                SELECT d.datdba FROM pg_catalog.pg_database AS d
                WHERE d.datname = pg_catalog.current_database()
            )
            ELSE f.owner END
        WHERE NOT f.is_kind
            OR NOT (
                o.oid = me.oid OR o.rolsuper
                -- A superuser is a member of every role, and has more rights than each.
                OR NOT me.rolsuper AND pg_catalog.pg_has_role(me.oid, o.oid, 'MEMBER')
                -- An administrator who is no superuser may have made it. What is put in the place of a
                -- table shows by its owner.
                OR NOT me.rolsuper AND f.what LIKE 'schema %%'
            )
    ), ''),
    ARRAY(SELECT f.relation FROM found AS f WHERE f.is_guarded ORDER BY f.relation)
