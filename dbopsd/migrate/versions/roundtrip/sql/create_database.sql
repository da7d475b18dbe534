-- summary: SELECT pg_database
-- The statement that makes the database %(name)s, empty, with the encoding and the locale of this
-- one. Columns of the catalog differ between majors.
SELECT pg_catalog.concat_ws(
    ' ',
    'CREATE DATABASE', pg_catalog.quote_ident(%(name)s), 'TEMPLATE template0',
    'ENCODING', pg_catalog.quote_literal(pg_catalog.pg_encoding_to_char(d.encoding)),
    'LC_COLLATE', pg_catalog.quote_literal(d.datcollate),
    'LC_CTYPE', pg_catalog.quote_literal(d.datctype),
    CASE d.datlocprovider
        WHEN 'i' THEN 'LOCALE_PROVIDER icu ICU_LOCALE'
        WHEN 'b' THEN 'LOCALE_PROVIDER builtin BUILTIN_LOCALE'
        ELSE 'LOCALE_PROVIDER libc' END,
    pg_catalog.quote_literal(coalesce(j.facts ->> 'datlocale', j.facts ->> 'daticulocale')),
    'ICU_RULES ' || pg_catalog.quote_literal(j.facts ->> 'daticurules')
)
FROM pg_catalog.pg_database AS d
CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(d)) AS j (facts)
WHERE d.datname = pg_catalog.current_database()
