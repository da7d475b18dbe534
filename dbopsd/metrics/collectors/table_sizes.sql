/*
about = "True sizes of tables and their indexes, a slice of them at a time."
every_s = 300
slow = true
timeout_s = 2
slice_rows = 200
top = "tables"
prefix = "pg_stat_user_tables_"
labels = ["datname", "schemaname", "relname"]

[metrics.pg_stat_user_tables_table_size_bytes]
unit = "By"
help = "Bytes of a table, with its TOAST table and maps. No sample while it is locked exclusively."

[metrics.pg_stat_user_tables_index_size_bytes]
unit = "By"
help = "Bytes of all indexes of a table. No sample while it is locked exclusively."
*/
WITH slice AS (
  SELECT
    c.oid,
    c.relname::pg_catalog.text AS relname,
    n.nspname::pg_catalog.text AS schemaname
  FROM pg_catalog.pg_class AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  WHERE
    c.oid > %(after)s::pg_catalog.oid
    AND c.relkind IN ('r', 'm')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND n.nspname !~ '^pg_temp_'
  ORDER BY c.oid
  LIMIT %(slice_rows)s
),

-- Waiting for one of them would cost the sizes of all others.
locked AS (
  SELECT DISTINCT coalesce(i.indrelid, l.relation) AS relid
  FROM pg_catalog.pg_locks AS l
  LEFT JOIN pg_catalog.pg_index AS i ON l.relation = i.indexrelid
  WHERE
    l.mode = 'AccessExclusiveLock'
    AND l.granted
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
)

SELECT
  s.oid::pg_catalog.int8 AS slice_key,
  pg_catalog.current_database()::pg_catalog.text AS datname,
  s.schemaname,
  s.relname,
  CASE WHEN l.relid IS NOT NULL THEN pg_catalog.format('%%I.%%I is locked', s.schemaname, s.relname) END AS unknown,
  CASE WHEN l.relid IS NULL THEN pg_catalog.pg_table_size(s.oid) END AS table_size_bytes,
  CASE WHEN l.relid IS NULL THEN pg_catalog.pg_indexes_size(s.oid) END AS index_size_bytes
FROM slice AS s
LEFT JOIN locked AS l ON s.oid = l.relid
ORDER BY s.oid
