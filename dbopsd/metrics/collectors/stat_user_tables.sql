/*
about = "Activity of the busiest tables of this database, and of the rest together, from the functions below pg_stat_user_tables."
every_s = 30
slow = true
timeout_s = 2
prefix = "pg_stat_user_tables_"
labels = ["datname", "schemaname", "relname"]

[metrics.pg_stat_user_tables_seq_scan]
type = "counter"
unit = "{scan}"
help = "Sequential scans."

[metrics.pg_stat_user_tables_seq_tup_read]
type = "counter"
unit = "{row}"
help = "Live rows read by sequential scans."

[metrics.pg_stat_user_tables_idx_scan]
type = "counter"
unit = "{scan}"
help = "Index scans."

[metrics.pg_stat_user_tables_idx_tup_fetch]
type = "counter"
unit = "{row}"
help = "Live rows fetched by index scans."

[metrics.pg_stat_user_tables_n_tup_ins]
type = "counter"
unit = "{row}"
help = "Rows inserted."

[metrics.pg_stat_user_tables_n_tup_upd]
type = "counter"
unit = "{row}"
help = "Rows updated."

[metrics.pg_stat_user_tables_n_tup_del]
type = "counter"
unit = "{row}"
help = "Rows deleted."

[metrics.pg_stat_user_tables_n_tup_hot_upd]
type = "counter"
unit = "{row}"
help = "Rows updated without a new index entry (HOT)."

[metrics.pg_stat_user_tables_n_live_tup]
unit = "{row}"
help = "Live rows, as estimated."

[metrics.pg_stat_user_tables_n_dead_tup]
unit = "{row}"
help = "Dead rows, as estimated."

[metrics.pg_stat_user_tables_n_mod_since_analyze]
unit = "{row}"
help = "Rows changed since the last ANALYZE."

[metrics.pg_stat_user_tables_n_ins_since_vacuum]
unit = "{row}"
help = "Rows inserted since the last VACUUM."

[metrics.pg_stat_user_tables_last_vacuum]
unit = "s"
help = "When the last VACUUM by hand ended, in seconds since 1970. 0 if there was none."

[metrics.pg_stat_user_tables_last_autovacuum]
unit = "s"
help = "When the last VACUUM by autovacuum ended, in seconds since 1970. 0 if there was none."

[metrics.pg_stat_user_tables_last_analyze]
unit = "s"
help = "When the last ANALYZE by hand ended, in seconds since 1970. 0 if there was none."

[metrics.pg_stat_user_tables_last_autoanalyze]
unit = "s"
help = "When the last ANALYZE by autovacuum ended, in seconds since 1970. 0 if there was none."

[metrics.pg_stat_user_tables_vacuum_count]
type = "counter"
unit = "{vacuum}"
help = "VACUUMs by hand."

[metrics.pg_stat_user_tables_autovacuum_count]
type = "counter"
unit = "{vacuum}"
help = "VACUUMs by autovacuum."

[metrics.pg_stat_user_tables_analyze_count]
type = "counter"
unit = "{analyze}"
help = "ANALYZEs by hand."

[metrics.pg_stat_user_tables_autoanalyze_count]
type = "counter"
unit = "{analyze}"
help = "ANALYZEs by autovacuum."
*/
WITH busiest AS (
  SELECT
    c.oid,
    n.nspname::pg_catalog.text AS schemaname,
    c.relname::pg_catalog.text AS relname,
    pg_catalog.row_number() OVER (
      ORDER BY
        pg_catalog.pg_stat_get_tuples_returned(c.oid)
        + pg_catalog.pg_stat_get_tuples_inserted(c.oid)
        + pg_catalog.pg_stat_get_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(c.oid) DESC,
        c.oid
    ) <= %(top_tables)s AS is_top
  FROM pg_catalog.pg_class AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  WHERE
    c.relkind IN ('r', 't', 'm')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND n.nspname !~ '^pg_temp_'
)

SELECT
  pg_catalog.current_database()::pg_catalog.text AS datname,
  CASE WHEN b.is_top THEN b.schemaname ELSE '(others)' END AS schemaname,
  CASE WHEN b.is_top THEN b.relname ELSE '(others)' END AS relname,
  pg_catalog.sum(pg_catalog.pg_stat_get_numscans(b.oid)) AS seq_scan,
  pg_catalog.sum(pg_catalog.pg_stat_get_tuples_returned(b.oid)) AS seq_tup_read,
  pg_catalog.sum(i.scans) AS idx_scan,
  pg_catalog.sum(i.fetched + pg_catalog.pg_stat_get_tuples_fetched(b.oid)) AS idx_tup_fetch,
  pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(b.oid)) AS n_tup_ins,
  pg_catalog.sum(pg_catalog.pg_stat_get_tuples_updated(b.oid)) AS n_tup_upd,
  pg_catalog.sum(pg_catalog.pg_stat_get_tuples_deleted(b.oid)) AS n_tup_del,
  pg_catalog.sum(pg_catalog.pg_stat_get_tuples_hot_updated(b.oid)) AS n_tup_hot_upd,
  pg_catalog.sum(pg_catalog.pg_stat_get_live_tuples(b.oid)) AS n_live_tup,
  pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(b.oid)) AS n_dead_tup,
  pg_catalog.sum(pg_catalog.pg_stat_get_mod_since_analyze(b.oid)) AS n_mod_since_analyze,
  pg_catalog.sum(pg_catalog.pg_stat_get_ins_since_vacuum(b.oid)) AS n_ins_since_vacuum,
  pg_catalog.sum(pg_catalog.pg_stat_get_vacuum_count(b.oid)) AS vacuum_count,
  pg_catalog.sum(pg_catalog.pg_stat_get_autovacuum_count(b.oid)) AS autovacuum_count,
  pg_catalog.sum(pg_catalog.pg_stat_get_analyze_count(b.oid)) AS analyze_count,
  pg_catalog.sum(pg_catalog.pg_stat_get_autoanalyze_count(b.oid)) AS autoanalyze_count,
  coalesce(extract(EPOCH FROM pg_catalog.max(pg_catalog.pg_stat_get_last_vacuum_time(b.oid))), 0) AS last_vacuum,
  coalesce(extract(EPOCH FROM pg_catalog.max(pg_catalog.pg_stat_get_last_autovacuum_time(b.oid))), 0) AS last_autovacuum,
  coalesce(extract(EPOCH FROM pg_catalog.max(pg_catalog.pg_stat_get_last_analyze_time(b.oid))), 0) AS last_analyze,
  coalesce(extract(EPOCH FROM pg_catalog.max(pg_catalog.pg_stat_get_last_autoanalyze_time(b.oid))), 0) AS last_autoanalyze
FROM busiest AS b
LEFT JOIN LATERAL (
  SELECT
    pg_catalog.sum(pg_catalog.pg_stat_get_numscans(x.indexrelid)) AS scans,
    coalesce(pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid)), 0) AS fetched
  FROM pg_catalog.pg_index AS x
  WHERE x.indrelid = b.oid
) AS i ON true
GROUP BY 1, 2, 3
