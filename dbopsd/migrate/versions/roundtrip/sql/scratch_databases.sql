-- summary: SELECT pg_database
-- Databases of round trips from this one, and the part of their names that is locked meanwhile.
SELECT d.datname::pg_catalog.text, pg_catalog.regexp_replace(d.datname, '_[0-9]+$', '')
FROM pg_catalog.pg_database AS d
WHERE pg_catalog.starts_with(d.datname, %(prefix)s)
    AND pg_catalog.pg_has_role(d.datdba, 'USAGE')
ORDER BY 1
