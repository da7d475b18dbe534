-- summary: SELECT pg_constraint
-- Foreign keys that refer to tables (by oid) or to partitions of them, wherever they are from, with
-- their columns on either side. Those that a partition has from its parent are told of once. Oids
-- are those of the tables given, or else of what a partition is one of.
WITH trees AS (
    SELECT t.oid AS root, t.oid AS relid FROM pg_catalog.unnest(%(tables)s::pg_catalog.oid[]) AS t (oid)
    UNION
    SELECT t.oid, p.relid::pg_catalog.oid
    FROM pg_catalog.unnest(%(tables)s::pg_catalog.oid[]) AS t (oid) CROSS JOIN LATERAL pg_catalog.pg_partition_tree(t.oid) AS p
)
SELECT 'foreign key ' || pg_catalog.quote_ident(coalesce(
        -- That to a partition has another name than the one to the table that it is of.
        (
            SELECT p.conname FROM pg_catalog.pg_constraint AS p
            WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid
        ),
        k.conname
    )) || ' of ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
    coalesce(
        (SELECT pg_catalog.min(root) FROM trees WHERE relid = k.conrelid),
        pg_catalog.pg_partition_root(k.conrelid), k.conrelid
    )::pg_catalog.int8 AS child_oid,
    (SELECT pg_catalog.min(root) FROM trees WHERE relid = k.confrelid)::pg_catalog.int8 AS parent_oid,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS child,
    (
        SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY u.position)
        FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (attnum, position)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
    ) AS columns,
    f.names AS parent_columns, f.collations AS parent_collations,
    k.confdeltype::pg_catalog.text AS on_delete, k.confupdtype::pg_catalog.text AS on_update
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY u.position) AS names,
        pg_catalog.array_agg(
            CASE WHEN o.oid IS NULL THEN ''
            ELSE pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(o.collname) END
            ORDER BY u.position
        ) AS collations
    FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (attnum, position)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
    LEFT JOIN pg_catalog.pg_collation AS o ON o.oid = a.attcollation
    LEFT JOIN pg_catalog.pg_namespace AS s ON s.oid = o.collnamespace
) AS f
WHERE k.contype = 'f' AND k.confrelid IN (SELECT relid FROM trees)
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS p
        WHERE p.oid = k.conparentid AND p.confrelid IN (SELECT relid FROM trees)
    )
ORDER BY 1
