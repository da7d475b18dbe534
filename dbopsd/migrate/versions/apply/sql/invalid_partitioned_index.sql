-- summary: SELECT pg_index
-- The server takes a partition's index for its part of a new one even where that is invalid, and then
-- the new one is invalid, too, without a word.
SELECT n.nspname, c.relname, coalesce(part.schema, ''), coalesce(part.name, '')
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN LATERAL (
    SELECT pn.nspname AS schema, pc.relname AS name
    FROM pg_catalog.pg_inherits AS h
    JOIN pg_catalog.pg_index AS pi ON pi.indexrelid OPERATOR(pg_catalog.=) h.inhrelid
    JOIN pg_catalog.pg_class AS pc ON pc.oid OPERATOR(pg_catalog.=) h.inhrelid
    JOIN pg_catalog.pg_namespace AS pn ON pn.oid OPERATOR(pg_catalog.=) pc.relnamespace
    WHERE h.inhparent OPERATOR(pg_catalog.=) i.indexrelid AND NOT pi.indisvalid
    ORDER BY 1, 2
    LIMIT 1
) AS part ON true
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s)
    AND c.relkind OPERATOR(pg_catalog.=) 'I'
    AND NOT i.indisvalid
    AND CASE
        WHEN %(index)s OPERATOR(pg_catalog.<>) '' THEN c.relname OPERATOR(pg_catalog.=) %(index)s::pg_catalog.name
        -- As the server names one. Those that it makes have their parts, unlike one of ON ONLY.
        ELSE c.relname OPERATOR(pg_catalog.~) '_idx[0-9]*$'
            AND part.name IS NOT NULL
            AND i.indisunique OPERATOR(pg_catalog.=) %(unique)s
            AND i.indnkeyatts OPERATOR(pg_catalog.=) %(keys)s
            AND (NOT %(made_in_transaction)s OR pg_catalog.age(c.xmin) OPERATOR(pg_catalog.<=) 0)
    END
ORDER BY 1, 2
LIMIT 1
