-- summary: SELECT pg_constraint
-- Foreign keys by which others refer to tables (by oid): those cannot be emptied then.
SELECT 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass,
    k.confrelid::regclass::text
FROM pg_constraint AS k
WHERE k.contype = 'f' AND k.confrelid = ANY (%(replaced)s::oid[])
    AND k.conrelid <> ALL (%(replaced)s::oid[])
ORDER BY 1, 2
