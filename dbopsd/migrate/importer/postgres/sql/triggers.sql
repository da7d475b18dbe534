-- summary: SELECT pg_trigger
-- Those that are on, of a table and of its partitions.
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname), t.tgname, t.tgenabled::pg_catalog.text
FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND (
    c.oid = pg_catalog.to_regclass(%(table)s)
    OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(table)s)))
)
ORDER BY t.tgrelid, t.tgname
