-- summary: SELECT pg_constraint
-- Foreign keys by which others refer to tables (by oid) or to their partitions: those cannot be
-- emptied then. And tables that inherit from them, which would be emptied with them.
WITH trees AS (
    SELECT t.oid AS relid FROM pg_catalog.unnest(%(replaced)s::pg_catalog.oid[]) AS t (oid)
    UNION
    SELECT p.relid::pg_catalog.oid
    FROM pg_catalog.unnest(%(replaced)s::pg_catalog.oid[]) AS t (oid) CROSS JOIN LATERAL pg_catalog.pg_partition_tree(t.oid) AS p
)
SELECT 'foreign key ' || pg_catalog.quote_ident(k.conname) || ' of ' || (pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, k.conrelid, 0)).identity,
    (pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, k.confrelid, 0)).identity
FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'f' AND k.confrelid IN (SELECT relid FROM trees)
    AND k.conrelid NOT IN (SELECT relid FROM trees)
UNION ALL
SELECT 'table ' || (pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, i.inhrelid, 0)).identity || ', which inherits from it', (pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, i.inhparent, 0)).identity
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhparent AND c.relkind = 'r'
WHERE i.inhparent = ANY (%(replaced)s::pg_catalog.oid[])
ORDER BY 1, 2
