-- summary: SELECT pg_class
-- The names in a schema: those that relations have, and those that types have.
SELECT
    ARRAY(
        SELECT c.relname::text FROM pg_class AS c
        WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
    ),
    ARRAY(
        SELECT t.typname::text FROM pg_type AS t
        WHERE t.typnamespace = to_regnamespace(quote_ident(%(schema)s))
    )
