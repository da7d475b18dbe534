-- summary: SELECT pg_class
SELECT c.oid::bigint, c.relname, c.relkind::text
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relname = ANY (%s)
