-- summary: SELECT pg_class tables
SELECT
  namespaces.nspname::pg_catalog.text AS schema,
  tables.relname::pg_catalog.text AS name,
  -- Another file means that TRUNCATE or ALTER TABLE came in between: neither honours snapshots.
  tables.relfilenode::pg_catalog.int8 AS file,
  pg_catalog.has_table_privilege(tables.oid, 'SELECT') AS permitted
FROM pg_catalog.pg_class AS tables
INNER JOIN pg_catalog.pg_namespace AS namespaces ON tables.relnamespace = namespaces.oid
WHERE
  tables.relkind = 'r'
  -- Unlogged and temporary ones are not restored.
  AND tables.relpersistence = 'p'
  AND namespaces.nspname <> 'information_schema'
  AND NOT pg_catalog.starts_with(namespaces.nspname, 'pg_')
-- The small ones first: time may not be enough for all.
ORDER BY tables.relpages, namespaces.nspname, tables.relname
LIMIT 10000
