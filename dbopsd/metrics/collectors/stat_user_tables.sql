/*
about = "Activity of the busiest tables of this database, and of the rest together, from the functions below pg_stat_user_tables."
every_s = 30
slow = true
timeout_s = 2
spares_rest = true
top = "tables"
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
WITH tables AS MATERIALIZED (
  SELECT
    c.oid AS relid,
    n.nspname::pg_catalog.text AS schemaname,
    c.relname::pg_catalog.text AS relname,
    pg_catalog.pg_stat_get_tuples_returned(c.oid) + pg_catalog.pg_stat_get_tuples_inserted(c.oid)
    + pg_catalog.pg_stat_get_tuples_updated(c.oid) + pg_catalog.pg_stat_get_tuples_deleted(c.oid)
    + coalesce(i.scans, 0) AS activity,
    pg_catalog.pg_stat_get_numscans(c.oid) AS seq_scan,
    pg_catalog.pg_stat_get_tuples_returned(c.oid) AS seq_tup_read,
    i.scans AS idx_scan,
    i.fetched + pg_catalog.pg_stat_get_tuples_fetched(c.oid) AS idx_tup_fetch,
    pg_catalog.pg_stat_get_tuples_inserted(c.oid) AS n_tup_ins,
    pg_catalog.pg_stat_get_tuples_updated(c.oid) AS n_tup_upd,
    pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS n_tup_del,
    pg_catalog.pg_stat_get_tuples_hot_updated(c.oid) AS n_tup_hot_upd,
    pg_catalog.pg_stat_get_live_tuples(c.oid) AS n_live_tup,
    pg_catalog.pg_stat_get_dead_tuples(c.oid) AS n_dead_tup,
    pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS n_mod_since_analyze,
    pg_catalog.pg_stat_get_ins_since_vacuum(c.oid) AS n_ins_since_vacuum,
    pg_catalog.pg_stat_get_vacuum_count(c.oid) AS vacuum_count,
    pg_catalog.pg_stat_get_autovacuum_count(c.oid) AS autovacuum_count,
    pg_catalog.pg_stat_get_analyze_count(c.oid) AS analyze_count,
    pg_catalog.pg_stat_get_autoanalyze_count(c.oid) AS autoanalyze_count,
    coalesce(extract(EPOCH FROM pg_catalog.pg_stat_get_last_vacuum_time(c.oid)), 0) AS last_vacuum,
    coalesce(extract(EPOCH FROM pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)), 0) AS last_autovacuum,
    coalesce(extract(EPOCH FROM pg_catalog.pg_stat_get_last_analyze_time(c.oid)), 0) AS last_analyze,
    coalesce(extract(EPOCH FROM pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)), 0) AS last_autoanalyze
  FROM pg_catalog.pg_class AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  LEFT JOIN (
    SELECT
      x.indrelid,
      pg_catalog.sum(pg_catalog.pg_stat_get_numscans(x.indexrelid)) AS scans,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid)) AS fetched
    FROM pg_catalog.pg_index AS x
    WHERE %(all)s OR x.indrelid = ANY(%(members)s::pg_catalog.oid[])
    GROUP BY x.indrelid
  ) AS i ON c.oid = i.indrelid
  WHERE
    c.relkind IN ('r', 't', 'm')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND n.nspname !~ '^pg_temp_'
    AND (%(all)s OR c.oid = ANY(%(members)s::pg_catalog.oid[]))
),

shown AS (
  SELECT t.relid
  FROM tables AS t
  WHERE t.relid = ANY(%(members)s::pg_catalog.oid[])
  UNION
  (
    SELECT t.relid
    FROM tables AS t
    ORDER BY t.activity DESC, t.relid
    LIMIT %(top)s
  )
)

SELECT
  t.relid::pg_catalog.text AS top_key,
  t.activity,
  pg_catalog.current_database()::pg_catalog.text AS datname,
  t.schemaname AS schemaname,
  t.relname AS relname,
  t.seq_scan,
  t.seq_tup_read,
  t.idx_scan,
  t.idx_tup_fetch,
  t.n_tup_ins,
  t.n_tup_upd,
  t.n_tup_del,
  t.n_tup_hot_upd,
  t.n_live_tup,
  t.n_dead_tup,
  t.n_mod_since_analyze,
  t.n_ins_since_vacuum,
  t.vacuum_count,
  t.autovacuum_count,
  t.analyze_count,
  t.autoanalyze_count,
  t.last_vacuum,
  t.last_autovacuum,
  t.last_analyze,
  t.last_autoanalyze
FROM tables AS t
INNER JOIN shown AS s ON t.relid = s.relid
UNION ALL
SELECT
  NULL,
  pg_catalog.count(*),
  pg_catalog.current_database()::pg_catalog.text,
  '(others)',
  '(others)',
  coalesce(pg_catalog.sum(t.seq_scan), 0),
  coalesce(pg_catalog.sum(t.seq_tup_read), 0),
  coalesce(pg_catalog.sum(t.idx_scan), 0),
  coalesce(pg_catalog.sum(t.idx_tup_fetch), 0),
  coalesce(pg_catalog.sum(t.n_tup_ins), 0),
  coalesce(pg_catalog.sum(t.n_tup_upd), 0),
  coalesce(pg_catalog.sum(t.n_tup_del), 0),
  coalesce(pg_catalog.sum(t.n_tup_hot_upd), 0),
  coalesce(pg_catalog.sum(t.n_live_tup), 0),
  coalesce(pg_catalog.sum(t.n_dead_tup), 0),
  coalesce(pg_catalog.sum(t.n_mod_since_analyze), 0),
  coalesce(pg_catalog.sum(t.n_ins_since_vacuum), 0),
  coalesce(pg_catalog.sum(t.vacuum_count), 0),
  coalesce(pg_catalog.sum(t.autovacuum_count), 0),
  coalesce(pg_catalog.sum(t.analyze_count), 0),
  coalesce(pg_catalog.sum(t.autoanalyze_count), 0),
  NULL,
  NULL,
  NULL,
  NULL
FROM tables AS t
WHERE t.relid <> ALL(%(members)s::pg_catalog.oid[])
