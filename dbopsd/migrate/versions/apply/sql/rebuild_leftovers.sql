-- summary: SELECT pg_index
-- Of a REINDEX CONCURRENTLY that was cut off: the new index, or the old one.
SELECT n.nspname, c.relname
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_class AS t ON t.oid OPERATOR(pg_catalog.=) i.indrelid
WHERE NOT i.indisvalid
    AND c.relname OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'
    AND CASE %(kind)s
        WHEN 'INDEX' THEN i.indrelid OPERATOR(pg_catalog.=) (
            SELECT o.indrelid FROM pg_catalog.pg_index AS o
            WHERE o.indexrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(name)s)
        )
        WHEN 'TABLE' THEN i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(name)s)
        WHEN 'SCHEMA' THEN t.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace(%(name)s)
        ELSE n.nspname OPERATOR(pg_catalog.<>) 'pg_toast'
    END
ORDER BY n.nspname, c.relname
