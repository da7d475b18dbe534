-- summary: SELECT pg_constraint
-- Foreign keys that refer to tables (by oid) or to partitions of them, wherever they are from, with
-- their columns on either side. Those that a partition has from its parent are told of once. Oids
-- are those of the tables given, or else of what a partition is one of.
WITH trees AS (
    SELECT t.oid AS root, t.oid AS relid FROM unnest(%(tables)s::oid[]) AS t (oid)
    UNION
    SELECT t.oid, p.relid::oid
    FROM unnest(%(tables)s::oid[]) AS t (oid) CROSS JOIN LATERAL pg_partition_tree(t.oid) AS p
)
SELECT 'foreign key ' || quote_ident(coalesce(
        -- That to a partition has another name than the one to the table that it is of.
        (
            SELECT p.conname FROM pg_constraint AS p
            WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid
        ),
        k.conname
    )) || ' of ' || k.conrelid::regclass AS name,
    coalesce(
        (SELECT min(root) FROM trees WHERE relid = k.conrelid),
        pg_partition_root(k.conrelid), k.conrelid
    )::bigint AS child_oid,
    (SELECT min(root) FROM trees WHERE relid = k.confrelid)::bigint AS parent_oid,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS child,
    (
        SELECT array_agg(a.attname::text ORDER BY u.position)
        FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, position)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
    ) AS columns,
    f.names AS parent_columns, f.collations AS parent_collations,
    k.confdeltype::text AS on_delete, k.confupdtype::text AS on_update
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY u.position) AS names,
        array_agg(
            CASE WHEN o.oid IS NULL THEN ''
            ELSE quote_ident(s.nspname) || '.' || quote_ident(o.collname) END
            ORDER BY u.position
        ) AS collations
    FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, position)
    JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
    LEFT JOIN pg_collation AS o ON o.oid = a.attcollation
    LEFT JOIN pg_namespace AS s ON s.oid = o.collnamespace
) AS f
WHERE k.contype = 'f' AND k.confrelid IN (SELECT relid FROM trees)
    AND NOT EXISTS (
        SELECT FROM pg_constraint AS p
        WHERE p.oid = k.conparentid AND p.confrelid IN (SELECT relid FROM trees)
    )
ORDER BY 1
