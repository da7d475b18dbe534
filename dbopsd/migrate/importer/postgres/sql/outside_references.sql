-- summary: SELECT pg_constraint
-- Foreign keys by which others refer to tables (by oid) or to their partitions: those cannot be
-- emptied then. And tables that inherit from them, which would be emptied with them.
WITH trees AS (
    SELECT t.oid AS relid FROM unnest(%(replaced)s::oid[]) AS t (oid)
    UNION
    SELECT p.relid::oid
    FROM unnest(%(replaced)s::oid[]) AS t (oid) CROSS JOIN LATERAL pg_partition_tree(t.oid) AS p
)
SELECT 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass,
    k.confrelid::regclass::text
FROM pg_constraint AS k
WHERE k.contype = 'f' AND k.confrelid IN (SELECT relid FROM trees)
    AND k.conrelid NOT IN (SELECT relid FROM trees)
UNION ALL
SELECT 'table ' || i.inhrelid::regclass || ', which inherits from it', i.inhparent::regclass::text
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhparent AND c.relkind = 'r'
WHERE i.inhparent = ANY (%(replaced)s::oid[])
ORDER BY 1, 2
