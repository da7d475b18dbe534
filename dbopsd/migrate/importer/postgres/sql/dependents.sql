-- summary: SELECT pg_depend
-- What stands outside of the tables (by oid) and goes on with them, or with their partitions, when
-- others take their place, and the policies that would not hold for those others.
WITH trees AS (
    SELECT t.oid AS relid FROM unnest(%(replaced)s::oid[]) AS t (oid)
    UNION
    SELECT p.relid::oid
    FROM unnest(%(replaced)s::oid[]) AS t (oid) CROSS JOIN LATERAL pg_partition_tree(t.oid) AS p
)
SELECT 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass,
    k.confrelid::regclass::text
FROM pg_constraint AS k
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid IN (SELECT relid FROM trees)
    AND k.conrelid NOT IN (SELECT relid FROM trees)
UNION
SELECT 'view ' || r.ev_class::regclass, d.refobjid::regclass::text
FROM pg_depend AS d
JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT relid FROM trees)
    AND r.ev_class <> ALL (%(replaced)s::oid[])
UNION
SELECT 'function ' || d.objid::regprocedure, d.refobjid::regclass::text
FROM pg_depend AS d
WHERE d.classid = 'pg_proc'::regclass
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (%(replaced)s::oid[])
UNION
SELECT 'table ' || i.inhparent::regclass || ', whose partition it is', i.inhrelid::regclass::text
FROM pg_inherits AS i
WHERE i.inhrelid = ANY (%(replaced)s::oid[]) AND i.inhparent <> ALL (%(replaced)s::oid[])
UNION
SELECT 'table ' || i.inhrelid::regclass || ', which inherits from it', i.inhparent::regclass::text
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhparent AND c.relkind = 'r'
WHERE i.inhparent = ANY (%(replaced)s::oid[]) AND i.inhrelid <> ALL (%(replaced)s::oid[])
UNION
SELECT 'policy ' || quote_ident(p.polname) || ' of ' || p.polrelid::regclass,
    p.polrelid::regclass::text
FROM pg_policy AS p
WHERE p.polrelid = ANY (%(replaced)s::oid[])
ORDER BY 1, 2
