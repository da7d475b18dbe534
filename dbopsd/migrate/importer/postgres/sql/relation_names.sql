-- summary: SELECT pg_class
-- The names in a schema: those that relations have, and those that types have.
SELECT
    ARRAY(
        SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s))
    ),
    ARRAY(
        SELECT t.typname::pg_catalog.text FROM pg_catalog.pg_type AS t
        WHERE t.typnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s))
    )
