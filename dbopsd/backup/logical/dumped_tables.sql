-- summary: SELECT pg_class dumped tables
-- The tables whose rows pg_dump dumps: all of users, or those asked for and what inherits from them.
WITH RECURSIVE
asked AS (
  SELECT
    names.name,
    pg_catalog.to_regclass(names.name)::pg_catalog.oid AS oid
  FROM pg_catalog.unnest(%(tables)s::pg_catalog.text[]) AS names (name)
),

chosen AS (
  SELECT asked.oid FROM asked
  UNION
  SELECT inherits.inhrelid
  FROM chosen
  INNER JOIN pg_catalog.pg_inherits AS inherits ON chosen.oid = inherits.inhparent
)

SELECT
  namespaces.nspname::pg_catalog.text AS schema,
  tables.relname::pg_catalog.text AS name,
  -- A partitioned table has no rows of its own.
  tables.relkind OPERATOR(pg_catalog.=) 'r' AS has_rows
FROM pg_catalog.pg_class AS tables
INNER JOIN pg_catalog.pg_namespace AS namespaces ON tables.relnamespace = namespaces.oid
WHERE
  tables.relkind OPERATOR(pg_catalog.=) ANY('{r,p}'::pg_catalog."char"[])
  AND tables.relpersistence OPERATOR(pg_catalog.<>) 't'
  AND namespaces.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  AND NOT pg_catalog.starts_with(namespaces.nspname::pg_catalog.text, 'pg_')
  -- Of an extension's table pg_dump takes what the extension says: some rows, or none.
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS depends
    WHERE
      depends.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
      AND depends.objid OPERATOR(pg_catalog.=) tables.oid
      AND depends.deptype OPERATOR(pg_catalog.=) 'e'
  )
  AND (
    pg_catalog.cardinality(%(tables)s::pg_catalog.text[]) OPERATOR(pg_catalog.=) 0
    OR tables.oid IN (SELECT chosen.oid FROM chosen)
  )
ORDER BY namespaces.nspname, tables.relname
