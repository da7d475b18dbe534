-- summary: SELECT pg_inherits
-- What tables have by which rows get to others than they are meant for: tables that inherit from
-- them, partitions that are of the same import themselves, and, by name, rules.
SELECT c.relname AS relation, 'CHILD' AS kind, i.inhrelid::pg_catalog.regclass::pg_catalog.text AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_inherits AS i ON i.inhparent = c.oid
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s)) AND c.relname = ANY (%(names)s)
    AND c.relkind = 'r'
UNION ALL
SELECT c.relname, 'PARTITION', p.relid::pg_catalog.text
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL pg_catalog.pg_partition_tree(c.oid) AS p
JOIN pg_catalog.pg_class AS o ON o.oid = p.relid
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s)) AND c.relname = ANY (%(names)s)
    AND o.relnamespace = c.relnamespace AND o.relname = ANY (%(names)s) AND o.oid <> c.oid
UNION ALL
SELECT c.relname, 'RULE', r.rulename
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = c.oid
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s)) AND c.relname = ANY (%(names)s)
    AND c.relkind IN ('r', 'p') AND r.ev_type <> '1' AND r.ev_enabled <> 'D'
ORDER BY 1, 2, 3
