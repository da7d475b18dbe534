-- summary: part of SELECT objects
-- What a fingerprint is about: schemas and relations that neither the server, an extension,
-- dbopsd itself nor another migration tool made.
members AS (
    SELECT d.classid, d.objid
    FROM pg_catalog.pg_depend AS d
    WHERE d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
),
schemas AS (
    SELECT n.oid, n.nspname, pg_catalog.quote_ident(n.nspname) AS name, n.nspowner, n.nspacl
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'dbops')
),
bookkeeping AS (
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    JOIN schemas AS s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v') AND (
        c.relname IN (
            '__diesel_schema_migrations', '__drizzle_migrations', '_prisma_migrations',
            '_sqlx_migrations', 'alembic_version', 'ar_internal_metadata', 'atlas_schema_revisions',
            'databasechangelog', 'databasechangeloglock', 'django_migrations',
            'flyway_schema_history', 'goose_db_version', 'schema_migrations'
        )
        OR s.nspname = %(ledger_schema)s AND c.relname = ANY (%(ledger_relations)s)
    )
),
relations AS (
    SELECT c.oid, c.relkind, c.relname, c.relnamespace, c.reltype, c.reloftype, c.relowner, c.relam,
        c.reltablespace, c.reltoastrelid, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
        c.relreplident, c.relispartition, c.relhassubclass, c.reloptions, c.relacl, c.relpartbound,
        s.name || '.' || pg_catalog.quote_ident(c.relname) AS identity
    FROM pg_catalog.pg_class AS c
    JOIN schemas AS s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c') AND c.relpersistence <> 't'
        AND c.oid NOT IN (SELECT b.oid FROM bookkeeping AS b)
        AND NOT EXISTS (
            SELECT FROM members AS m
            WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid
        )
        -- Of a composite type, the type is the member.
        AND NOT EXISTS (
            SELECT FROM members AS m
            WHERE c.relkind = 'c' AND m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
                AND m.objid = c.reltype
        )
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d
            WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                AND d.refobjid IN (SELECT b.oid FROM bookkeeping AS b)
        )
)
