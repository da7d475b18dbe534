-- summary: SELECT pg_class
-- What has one of the names in a schema and is not part of what gives way (by oid), with its kind.
-- A table's indexes and sequences go with it, and so do its row type and the array of that.
SELECT c.relname AS name, CASE c.relkind
        WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'f' THEN 'foreign table'
        WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
        WHEN 'c' THEN 'type' ELSE 'index'
    END AS kind, false AS of_another
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s))
    AND c.relname = ANY (%(relations)s) AND c.oid <> ALL (%(replaced)s::pg_catalog.oid[])
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indexrelid = c.oid AND i.indrelid = ANY (%(replaced)s::pg_catalog.oid[])
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = ANY (%(replaced)s::pg_catalog.oid[])
    )
UNION ALL
SELECT t.typname, 'type', e.oid IS NOT NULL
FROM pg_catalog.pg_type AS t
LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND e.typarray = t.oid
WHERE t.typnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s))
    AND t.typname = ANY (%(types)s)
    AND coalesce(e.typrelid, t.typrelid) <> ALL (%(replaced)s::pg_catalog.oid[])
    -- What is a relation itself is told of above.
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = t.typnamespace AND c.relname = t.typname
            AND c.relname = ANY (%(relations)s)
    )
ORDER BY of_another, name
