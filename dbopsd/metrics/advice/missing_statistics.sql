/*
about = "Tables of which the planner knows nothing, or what no longer holds."
kinds = ["missing_statistics"]
severity = "warning"
risk = "ANALYZE reads a sample of the table; plans can change."
*/
WITH RECURSIVE partitions AS (
  -- pg_partition_tree would wait for locks on the partitions.
  SELECT h.inhparent AS root, h.inhrelid AS relid
  FROM pg_catalog.pg_inherits AS h
  UNION ALL
  SELECT p.root, h.inhrelid
  FROM partitions AS p
  INNER JOIN pg_catalog.pg_inherits AS h ON p.relid = h.inhparent
),

tables AS (
  SELECT
    c.oid,
    n.nspname,
    c.relname,
    c.relkind,
    c.reltuples,
    s.n_live_tup,
    s.n_mod_since_analyze,
    greatest(s.last_analyze, s.last_autoanalyze) AS analyzed_at,
    (
      SELECT pg_catalog.sum(p.n_live_tup)
      FROM partitions AS t
      INNER JOIN pg_catalog.pg_stat_user_tables AS p ON t.relid = p.relid
      WHERE c.oid = t.root AND c.relkind = 'p'
    ) AS rows_below
  FROM pg_catalog.pg_class AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON c.oid = s.relid
  WHERE
    c.relkind IN ('r', 'm', 'p', 'f')
    AND c.relpersistence = 'p'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
),

judged AS (
  SELECT
    t.*,
    CASE
      -- Autovacuum never analyses these two.
      WHEN t.relkind = 'p' AND t.reltuples < 0 AND t.rows_below > 1000 THEN 'partitioned'
      WHEN t.relkind = 'f' AND t.reltuples < 0 THEN 'foreign'
      WHEN t.relkind NOT IN ('r', 'm') OR coalesce(t.n_live_tup, 0) <= 1000 THEN NULL
      WHEN t.reltuples < 0 THEN 'never'
      -- After a reset of the counters the time is not known, and the statistics are there.
      WHEN t.analyzed_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_stats AS p WHERE t.nspname = p.schemaname AND t.relname = p.tablename
      ) AND pg_catalog.has_table_privilege(t.oid, 'SELECT') THEN 'never'
      WHEN t.n_mod_since_analyze > 0.5 * greatest(t.reltuples, 1) THEN 'stale'
    END AS why
  FROM tables AS t
)

SELECT
  pg_catalog.format('%%I.%%I', j.nspname, j.relname) AS object,
  CASE j.why
    WHEN 'stale' THEN pg_catalog.format('Analyze %%I.%%I: more than half of its rows changed since the last time', j.nspname, j.relname)
    WHEN 'partitioned'
      THEN pg_catalog.format('Analyze %%I.%%I: autovacuum never analyses a partitioned table, only its partitions', j.nspname, j.relname)
    WHEN 'foreign' THEN pg_catalog.format('Analyze %%I.%%I: autovacuum never analyses a foreign table', j.nspname, j.relname)
    ELSE pg_catalog.format('Analyze %%I.%%I: the planner has no statistics of it', j.nspname, j.relname)
  END AS title,
  CASE WHEN j.why = 'foreign' THEN 'info' ELSE 'warning' END AS severity,
  CASE WHEN j.why = 'foreign' THEN 'low' ELSE 'high' END AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('rows', coalesce(j.rows_below, j.n_live_tup)::pg_catalog.text, 'pg_stat_user_tables'),
    pg_catalog.jsonb_build_array('changed_since_analyze', j.n_mod_since_analyze::pg_catalog.text, 'pg_stat_user_tables'),
    pg_catalog.jsonb_build_array('last_analyze', j.analyzed_at::pg_catalog.text, 'pg_stat_user_tables')
  ) AS evidence,
  'plans that fit the data: without statistics the planner guesses' AS gain,
  ARRAY[pg_catalog.format('ANALYZE %%I.%%I', j.nspname, j.relname)] AS sql,
  ARRAY[
    CASE
      WHEN j.why = 'stale' THEN 'why autovacuum has not done it: it may be off for the table, or have no free worker'
      WHEN j.why = 'foreign' THEN 'whether the foreign server gives plans of its own, which need no statistics here'
    END
  ] AS not_known
FROM judged AS j
WHERE j.why IS NOT NULL
