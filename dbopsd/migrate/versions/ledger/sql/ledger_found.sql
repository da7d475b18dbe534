-- summary: SELECT pg_namespace
SELECT
    EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.nspname = %(schema)s::pg_catalog.text),
    EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = %(schema)s::pg_catalog.text AND c.relname = 'ledger_version'::pg_catalog.text
    )
