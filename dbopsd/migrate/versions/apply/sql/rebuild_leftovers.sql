-- summary: SELECT pg_index
-- Of a REINDEX CONCURRENTLY that was cut off: the new index, or the old one; those of partitions and of
-- TOAST tables too. The latter only where this role may name them, to drop them.
WITH chosen AS (
    SELECT i.indrelid AS oid
    FROM pg_catalog.pg_index AS i
    JOIN (
        SELECT pg_catalog.to_regclass(%(name)s)::pg_catalog.oid
        UNION ALL
        SELECT p.relid::pg_catalog.oid
        FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(name)s)) AS p
    ) AS x (oid) ON x.oid OPERATOR(pg_catalog.=) i.indexrelid
    WHERE %(kind)s OPERATOR(pg_catalog.=) 'INDEX'
    UNION ALL
    SELECT pg_catalog.to_regclass(%(name)s)::pg_catalog.oid
    WHERE %(kind)s OPERATOR(pg_catalog.=) 'TABLE'
    UNION ALL
    SELECT p.relid::pg_catalog.oid
    FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(name)s)) AS p
    WHERE %(kind)s OPERATOR(pg_catalog.=) 'TABLE'
    UNION ALL
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    WHERE CASE %(kind)s
        WHEN 'SCHEMA' THEN c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace(%(name)s)
        ELSE %(kind)s OPERATOR(pg_catalog.=) ANY ('{DATABASE,SYSTEM}'::pg_catalog.text[])
    END
), tables AS (
    SELECT oid FROM chosen
    UNION
    SELECT c.reltoastrelid
    FROM pg_catalog.pg_class AS c
    JOIN chosen ON chosen.oid OPERATOR(pg_catalog.=) c.oid
    WHERE %(kind)s OPERATOR(pg_catalog.<>) 'INDEX'
)
SELECT n.nspname, c.relname
FROM pg_catalog.pg_index AS i
JOIN tables ON tables.oid OPERATOR(pg_catalog.=) i.indrelid
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE NOT i.indisvalid
    AND c.relname OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'
    AND (
        n.nspname OPERATOR(pg_catalog.<>) 'pg_toast'
        OR pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    )
ORDER BY n.nspname, c.relname
