-- summary: SELECT to_regclass of an asked table
SELECT
  namespaces.nspname::pg_catalog.text AS schema,
  tables.relname::pg_catalog.text AS name
FROM pg_catalog.pg_class AS tables
INNER JOIN pg_catalog.pg_namespace AS namespaces ON tables.relnamespace = namespaces.oid
WHERE
  tables.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)
  AND tables.relkind OPERATOR(pg_catalog.=) ANY('{r,p}'::pg_catalog."char"[])
