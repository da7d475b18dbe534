-- summary: SELECT pg_relation_filenode
SELECT
  -- By its name: it may be that of another table by now.
  pg_catalog.pg_relation_filenode(
    pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %(schema)s::text, %(name)s::text))
  )::pg_catalog.int8
