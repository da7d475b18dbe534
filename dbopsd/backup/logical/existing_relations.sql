-- summary: SELECT pg_class existing relations
SELECT
  namespaces.nspname::pg_catalog.text AS schema,
  relations.relname::pg_catalog.text AS name
FROM ROWS FROM (
  pg_catalog.unnest(%(schemas)s::pg_catalog.text[]),
  pg_catalog.unnest(%(names)s::pg_catalog.text[])
) AS wanted (schema, name)
INNER JOIN pg_catalog.pg_namespace AS namespaces
  ON wanted.schema OPERATOR(pg_catalog.=) namespaces.nspname::pg_catalog.text
INNER JOIN pg_catalog.pg_class AS relations
  ON namespaces.oid OPERATOR(pg_catalog.=) relations.relnamespace
  AND wanted.name OPERATOR(pg_catalog.=) relations.relname::pg_catalog.text
ORDER BY namespaces.nspname, relations.relname
