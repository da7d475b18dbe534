/*
about = "Tables that autovacuum should have vacuumed long ago: by the age of their transaction ids, or by dead rows that stay."
kinds = ["vacuum_overdue"]
severity = "warning"
risk = "VACUUM reads the table; it stops no reader and no writer. It removes nothing that the holder of the horizon may still see."
needs = ["use", "window_hours"]
*/
WITH records AS MATERIALIZED (
  -- Looking up each object in the JSON would copy all of it each time.
  SELECT e.key::pg_catalog.oid AS oid, e.value AS record
  FROM pg_catalog.jsonb_each(%(use)s::pg_catalog.jsonb -> 'tables') AS e
),

holders AS (
  SELECT pg_catalog.format('session %%s of %%s, %%s', a.pid, a.usename, a.state) AS holder, pg_catalog.age(a.backend_xmin) AS held
  FROM pg_catalog.pg_stat_activity AS a
  WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type = 'client backend'
  UNION ALL
  SELECT pg_catalog.format('standby %%s (hot_standby_feedback)', r.application_name), pg_catalog.age(r.backend_xmin)
  FROM pg_catalog.pg_stat_replication AS r
  WHERE r.backend_xmin IS NOT NULL
  UNION ALL
  SELECT pg_catalog.format('replication slot %%s', s.slot_name), greatest(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin))
  FROM pg_catalog.pg_replication_slots AS s
  WHERE s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL
  UNION ALL
  SELECT pg_catalog.format('prepared transaction %%s', x.gid), pg_catalog.age(x.transaction)
  FROM pg_catalog.pg_prepared_xacts AS x
),

holder AS (
  SELECT h.holder, h.held
  FROM holders AS h
  ORDER BY h.held DESC NULLS LAST
  LIMIT 1
),

tables AS (
  SELECT
    c.oid,
    n.nspname,
    c.relname,
    c.relfrozenxid,
    c.relminmxid,
    s.n_dead_tup,
    greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at,
    least(
      pg_catalog.current_setting('autovacuum_freeze_max_age')::pg_catalog.int8, o.freeze_max_age
    ) AS freeze_max_age,
    least(
      pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::pg_catalog.int8, o.multixact_freeze_max_age
    ) AS multixact_freeze_max_age,
    coalesce(o.threshold, pg_catalog.current_setting('autovacuum_vacuum_threshold')::pg_catalog.int8)
    + coalesce(o.scale, pg_catalog.current_setting('autovacuum_vacuum_scale_factor')::pg_catalog.numeric) * greatest(c.reltuples, 0)::pg_catalog.numeric
      AS dead_limit,
    (u.record ->> 'dead')::pg_catalog.int8 AS earlier_dead,
    (u.record ->> 'age_s')::pg_catalog.numeric AS age_s
  FROM pg_catalog.pg_class AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON c.oid = s.relid
  CROSS JOIN LATERAL (
    SELECT
      pg_catalog.max(pg_catalog.split_part(r.option, '=', 2)) FILTER (WHERE r.option LIKE 'autovacuum_freeze_max_age=%%')::pg_catalog.int8 AS freeze_max_age,
      pg_catalog.max(pg_catalog.split_part(r.option, '=', 2)) FILTER (WHERE r.option LIKE 'autovacuum_multixact_freeze_max_age=%%')::pg_catalog.int8
        AS multixact_freeze_max_age,
      pg_catalog.max(pg_catalog.split_part(r.option, '=', 2)) FILTER (WHERE r.option LIKE 'autovacuum_vacuum_threshold=%%')::pg_catalog.int8 AS threshold,
      pg_catalog.max(pg_catalog.split_part(r.option, '=', 2)) FILTER (WHERE r.option LIKE 'autovacuum_vacuum_scale_factor=%%')::pg_catalog.numeric AS scale
    FROM pg_catalog.unnest(c.reloptions) AS r (option)
  ) AS o
  LEFT JOIN records AS u ON c.oid = u.oid
  WHERE
    c.relkind IN ('r', 'm', 't')
    AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_vacuum AS p WHERE c.oid = p.relid)
),

judged AS (
  SELECT
    t.*,
    CASE
      WHEN pg_catalog.age(t.relfrozenxid) > t.freeze_max_age THEN 'xid'
      WHEN pg_catalog.mxid_age(t.relminmxid) > t.multixact_freeze_max_age THEN 'multixact'
      WHEN
        t.age_s >= 3600 * %(window_hours)s
        AND t.earlier_dead > t.dead_limit
        AND t.n_dead_tup > t.dead_limit
        AND coalesce(t.vacuumed_at < pg_catalog.now() - t.age_s * interval '1 second', true)
        THEN 'dead'
    END AS why
  FROM tables AS t
)

SELECT
  pg_catalog.format('%%I.%%I', j.nspname, j.relname) AS object,
  CASE j.why
    WHEN 'dead'
      THEN pg_catalog.format('Vacuum %%I.%%I: it has had too many dead rows for %%s h', j.nspname, j.relname, pg_catalog.round(j.age_s / 3600))
    ELSE pg_catalog.format('Vacuum %%I.%%I: its oldest transaction id is older than autovacuum allows', j.nspname, j.relname)
  END AS title,
  CASE WHEN j.why <> 'dead' AND pg_catalog.age(j.relfrozenxid) > 1500000000 THEN 'critical' ELSE 'warning' END AS severity,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('xid_age', pg_catalog.age(j.relfrozenxid)::pg_catalog.text, 'pg_class.relfrozenxid'),
    pg_catalog.jsonb_build_array('freeze_max_age', j.freeze_max_age::pg_catalog.text, 'autovacuum_freeze_max_age'),
    pg_catalog.jsonb_build_array('multixact_age', pg_catalog.mxid_age(j.relminmxid)::pg_catalog.text, 'pg_class.relminmxid'),
    pg_catalog.jsonb_build_array('dead_rows', j.n_dead_tup::pg_catalog.text, 'pg_stat_user_tables'),
    pg_catalog.jsonb_build_array('dead_rows_allowed', pg_catalog.round(j.dead_limit)::pg_catalog.text, 'autovacuum_vacuum_threshold and _scale_factor'),
    pg_catalog.jsonb_build_array('last_vacuum', j.vacuumed_at::pg_catalog.text, 'pg_stat_user_tables'),
    pg_catalog.jsonb_build_array(
      'horizon_holder', (SELECT pg_catalog.format('%%s, %%s transactions', h.holder, h.held) FROM holder AS h),
      'pg_stat_activity, pg_stat_replication, pg_replication_slots, pg_prepared_xacts'
    )
  ) AS evidence,
  CASE j.why
    WHEN 'dead' THEN 'space of dead rows is used again'
    ELSE 'the server does not come near the point where it stops taking writes'
  END AS gain,
  ARRAY[
    CASE
      WHEN j.nspname <> 'pg_toast'
        THEN pg_catalog.format(CASE j.why WHEN 'dead' THEN 'VACUUM %%I.%%I' ELSE 'VACUUM (FREEZE) %%I.%%I' END, j.nspname, j.relname)
    END
  ] AS sql,
  ARRAY[
    CASE
      WHEN (SELECT h.held FROM holder AS h) > 100000
        THEN 'whether VACUUM can do it: the holder of the horizon named above keeps rows alive; end it first'
    END,
    CASE
      WHEN NOT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
        THEN 'who holds back the horizon: the role of the DSN needs pg_read_all_stats to see it'
    END
  ] AS not_known
FROM judged AS j
WHERE j.why IS NOT NULL
