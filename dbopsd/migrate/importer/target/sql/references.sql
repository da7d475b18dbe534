-- summary: SELECT pg_constraint
SELECT c.conrelid::regclass::oid::bigint, c.confrelid::regclass::oid::bigint
FROM pg_constraint AS c
WHERE c.contype = 'f' AND c.conrelid <> c.confrelid
    AND c.conrelid = ANY (%(tables)s::oid[]) AND c.confrelid = ANY (%(tables)s::oid[])
