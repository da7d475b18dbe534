-- summary: SELECT pg_class sizes
SELECT
  n.nspname AS schema,
  c.relname AS name,
  CASE
    WHEN c.relkind IN ('i', 'I') THEN t.relkind
    ELSE c.relkind
  END::text AS kind,
  (
    SELECT pg_catalog.sum(
      CASE
        -- It was never vacuumed or analyzed.
        WHEN p.relpages OPERATOR(pg_catalog.=) 0 AND p.relkind IN ('r', 'm', 't') THEN
          pg_catalog.pg_relation_size(p.oid)
          OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.int8
        ELSE p.relpages::pg_catalog.int8
      END
    )
    FROM pg_catalog.pg_class AS p
    WHERE p.oid OPERATOR(pg_catalog.=) t.oid
      OR p.oid OPERATOR(pg_catalog.=) ANY (
        ARRAY(SELECT tree.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(t.oid) AS tree)
      )
  )::pg_catalog.int8 AS pages
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid
JOIN pg_catalog.pg_class AS t
  ON t.oid OPERATOR(pg_catalog.=) COALESCE(i.indrelid, c.oid)
WHERE c.relname OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.name[])
  AND c.relkind IN ('r', 'p', 'm', 'i', 'I', 'f', 'v', 'S')
  AND n.nspname OPERATOR(pg_catalog.!~~) 'pg\_%%'
  AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
ORDER BY 1, 2
