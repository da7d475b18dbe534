-- summary: SELECT pg_inherits
SELECT i.inhdetachpending
FROM pg_catalog.pg_inherits AS i
WHERE i.inhrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(partition)s)
    AND i.inhparent OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(parent)s)
