-- summary: SELECT pg_constraint
-- Foreign keys that refer to tables (by oid), wherever they are from, with their columns on either
-- side. Those of partitions are their parents'.
SELECT 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass AS name,
    k.conrelid::bigint AS child_oid, k.confrelid::bigint AS parent_oid,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS child,
    (
        SELECT array_agg(a.attname::text ORDER BY u.position)
        FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, position)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
    ) AS columns,
    (
        SELECT array_agg(a.attname::text ORDER BY u.position)
        FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, position)
        JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
    ) AS parent_columns,
    k.confdeltype IN ('c', 'n', 'd') AS on_delete, k.confupdtype IN ('n', 'd') AS on_update
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ANY (%(tables)s::oid[])
ORDER BY 1
