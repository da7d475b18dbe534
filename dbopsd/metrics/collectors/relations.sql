/*
about = "How many tables and indexes this database has, and their sizes as estimated by relpages."
every_s = 300
slow = true
timeout_s = 2
prefix = "pg_relations_"
labels = ["datname"]

[metrics.pg_relations_tables]
unit = "{table}"
help = "Tables and materialised views that are not PostgreSQL's own."

[metrics.pg_relations_indexes]
unit = "{index}"
help = "Indexes that are not PostgreSQL's own."

[metrics.pg_relations_estimated_table_bytes]
unit = "By"
help = "Bytes of all tables at their last VACUUM or ANALYZE (relpages)."

[metrics.pg_relations_estimated_index_bytes]
unit = "By"
help = "Bytes of all indexes at their last VACUUM or ANALYZE (relpages)."
*/
SELECT
  pg_catalog.current_database()::pg_catalog.text AS datname,
  pg_catalog.count(*) FILTER (WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')) AS tables,
  pg_catalog.count(*) FILTER (WHERE c.relkind IN ('i', 'I') AND n.nspname NOT IN ('pg_catalog', 'information_schema')) AS indexes,
  pg_catalog.sum(c.relpages::pg_catalog.int8) FILTER (WHERE c.relkind IN ('r', 'm', 't'))
  * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS estimated_table_bytes,
  pg_catalog.sum(c.relpages::pg_catalog.int8) FILTER (WHERE c.relkind = 'i')
  * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS estimated_index_bytes
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
