-- summary: SELECT pg_constraint
-- What stands outside of the tables (by oid) and goes on with them when others take their place.
SELECT 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass,
    k.confrelid::regclass::text
FROM pg_constraint AS k
WHERE k.contype = 'f' AND k.confrelid = ANY (%(replaced)s::oid[])
    AND k.conrelid <> ALL (%(replaced)s::oid[])
UNION
SELECT 'view ' || r.ev_class::regclass, d.refobjid::regclass::text
FROM pg_depend AS d
JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (%(replaced)s::oid[])
    AND r.ev_class <> ALL (%(replaced)s::oid[])
ORDER BY 1, 2
