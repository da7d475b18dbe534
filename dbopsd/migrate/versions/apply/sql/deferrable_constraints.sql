-- summary: SELECT pg_constraint
-- What SET CONSTRAINTS takes by name, and whether all of that name are deferred at first. A name may stand
-- for several constraints of a schema: where only some of them are, it cannot be set back to that.
SELECT n.nspname, c.conname, pg_catalog.bool_and(c.condeferred)
FROM pg_catalog.pg_constraint AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.connamespace
WHERE NOT pg_catalog.pg_is_other_temp_schema(n.oid) AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
GROUP BY n.nspname, c.conname
HAVING
    pg_catalog.bool_or(c.condeferrable)
    AND (pg_catalog.bool_and(c.condeferred) OR NOT pg_catalog.bool_or(c.condeferred))
