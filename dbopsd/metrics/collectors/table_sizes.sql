/*
about = "True sizes of tables and their indexes, a slice of them at a time."
every_s = 60
slow = true
timeout_s = 2
slice_rows = 200
prefix = "pg_stat_user_tables_"
labels = ["datname", "schemaname", "relname"]

[metrics.pg_stat_user_tables_table_size_bytes]
unit = "By"
help = "Bytes of a table, with its TOAST table and maps."

[metrics.pg_stat_user_tables_index_size_bytes]
unit = "By"
help = "Bytes of all indexes of a table."
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
)

SELECT
  s.oid::pg_catalog.int8 AS slice_key,
  pg_catalog.current_database()::pg_catalog.text AS datname,
  s.schemaname,
  s.relname,
  pg_catalog.pg_table_size(s.oid) AS table_size_bytes,
  pg_catalog.pg_indexes_size(s.oid) AS index_size_bytes
FROM slice AS s
ORDER BY s.oid
