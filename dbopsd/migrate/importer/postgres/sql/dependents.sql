-- summary: SELECT pg_depend
-- What stands outside of the tables (by oid) and goes on with them, or with their partitions, when
-- others take their place, and the policies that would not hold for those others.
WITH trees AS (
    SELECT t.oid AS relid FROM pg_catalog.unnest(%(replaced)s::pg_catalog.oid[]) AS t (oid)
    UNION
    SELECT p.relid::pg_catalog.oid
    FROM pg_catalog.unnest(%(replaced)s::pg_catalog.oid[]) AS t (oid) CROSS JOIN LATERAL pg_catalog.pg_partition_tree(t.oid) AS p
)
SELECT 'foreign key ' || pg_catalog.quote_ident(k.conname) || ' of ' || k.conrelid::pg_catalog.regclass,
    k.confrelid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid IN (SELECT relid FROM trees)
    AND k.conrelid NOT IN (SELECT relid FROM trees)
UNION
SELECT 'view ' || r.ev_class::pg_catalog.regclass, d.refobjid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid IN (SELECT relid FROM trees)
    AND r.ev_class <> ALL (%(replaced)s::pg_catalog.oid[])
UNION
SELECT 'function ' || d.objid::pg_catalog.regprocedure, d.refobjid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_depend AS d
WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = ANY (%(replaced)s::pg_catalog.oid[])
UNION
SELECT 'table ' || i.inhparent::pg_catalog.regclass || ', whose partition it is', i.inhrelid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_inherits AS i
WHERE i.inhrelid = ANY (%(replaced)s::pg_catalog.oid[]) AND i.inhparent <> ALL (%(replaced)s::pg_catalog.oid[])
UNION
SELECT 'table ' || i.inhrelid::pg_catalog.regclass || ', which inherits from it', i.inhparent::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhparent AND c.relkind = 'r'
WHERE i.inhparent = ANY (%(replaced)s::pg_catalog.oid[]) AND i.inhrelid <> ALL (%(replaced)s::pg_catalog.oid[])
UNION
SELECT 'policy ' || pg_catalog.quote_ident(p.polname) || ' of ' || p.polrelid::pg_catalog.regclass,
    p.polrelid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_policy AS p
WHERE p.polrelid = ANY (%(replaced)s::pg_catalog.oid[])
ORDER BY 1, 2
