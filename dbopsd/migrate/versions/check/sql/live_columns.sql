-- summary: SELECT pg_attribute
SELECT
  n.nspname AS schema,
  c.relname AS table,
  a.attname AS column,
  pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relname OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.name[])
  AND a.attname OPERATOR(pg_catalog.=) ANY (%(columns)s::pg_catalog.name[])
  AND c.relkind IN ('r', 'p', 'f')
  AND a.attnum OPERATOR(pg_catalog.>) 0
  AND NOT a.attisdropped
ORDER BY 1, 2, 3
