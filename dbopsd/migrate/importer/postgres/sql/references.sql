-- summary: SELECT pg_constraint
-- Which of the tables (by oid) refers to which other, itself or by a partition.
WITH trees AS (
    SELECT t.oid AS root, t.oid AS relid FROM pg_catalog.unnest(%(tables)s::pg_catalog.oid[]) AS t (oid)
    UNION
    SELECT t.oid, p.relid::pg_catalog.oid
    FROM pg_catalog.unnest(%(tables)s::pg_catalog.oid[]) AS t (oid) CROSS JOIN LATERAL pg_catalog.pg_partition_tree(t.oid) AS p
)
SELECT DISTINCT child.root::pg_catalog.int8, parent.root::pg_catalog.int8
FROM pg_catalog.pg_constraint AS c
JOIN trees AS child ON child.relid = c.conrelid
JOIN trees AS parent ON parent.relid = c.confrelid
WHERE c.contype = 'f' AND child.root <> parent.root
