-- summary: SELECT pg_constraint
-- Which of the tables (by oid) refers to which other, itself or by a partition.
WITH trees AS (
    SELECT t.oid AS root, t.oid AS relid FROM unnest(%(tables)s::oid[]) AS t (oid)
    UNION
    SELECT t.oid, p.relid::oid
    FROM unnest(%(tables)s::oid[]) AS t (oid) CROSS JOIN LATERAL pg_partition_tree(t.oid) AS p
)
SELECT DISTINCT child.root::bigint, parent.root::bigint
FROM pg_constraint AS c
JOIN trees AS child ON child.relid = c.conrelid
JOIN trees AS parent ON parent.relid = c.confrelid
WHERE c.contype = 'f' AND child.root <> parent.root
