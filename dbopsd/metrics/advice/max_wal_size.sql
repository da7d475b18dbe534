/*
about = "Checkpoints that come before their time, because max_wal_size is reached."
kinds = ["settings"]
needs = ["use", "window_hours"]
risk = "Up to so much more WAL stays on disk, and recovery after a crash takes longer."
*/
WITH growth AS (
  SELECT
    (u.record ->> 'age_s')::pg_catalog.numeric AS age_s,
    c.checkpoints_req - (u.record ->> 'requested')::pg_catalog.int8 AS requested,
    c.checkpoints_timed - (u.record ->> 'timed')::pg_catalog.int8 AS timed
  FROM pg_catalog.pg_stat_bgwriter AS c
  CROSS JOIN LATERAL (SELECT %(use)s::pg_catalog.jsonb -> 'checkpoints' AS record) AS u
)

SELECT
  'max_wal_size' AS object,
  pg_catalog.format('Set max_wal_size to %%s MB: most checkpoints are forced by it', 2 * s.setting::pg_catalog.int8) AS title,
  'warning' AS severity,
  'high' AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('value', pg_catalog.format('%%s MB', s.setting), 'pg_settings'),
    pg_catalog.jsonb_build_array('forced', g.requested::pg_catalog.text, pg_catalog.format('pg_stat_bgwriter, growth of the last %%s h', pg_catalog.round(g.age_s / 3600))),
    pg_catalog.jsonb_build_array('timed', g.timed::pg_catalog.text, pg_catalog.format('pg_stat_bgwriter, growth of the last %%s h', pg_catalog.round(g.age_s / 3600)))
  ) AS evidence,
  'fewer checkpoints, after each of which pages are written to the WAL as a whole' AS gain,
  ARRAY[pg_catalog.format('ALTER SYSTEM SET max_wal_size = %%L', pg_catalog.format('%%sMB', 2 * s.setting::pg_catalog.int8)), 'SELECT pg_catalog.pg_reload_conf()']
    AS sql,
  '{}'::pg_catalog.text [] AS not_known
FROM growth AS g
INNER JOIN pg_catalog.pg_settings AS s ON s.name = 'max_wal_size'
WHERE
  g.age_s >= 3600 * %(window_hours)s
  AND g.requested > g.timed
  AND g.timed >= 0
  AND g.requested >= 10
  -- What was counted before a change of the configuration says nothing of the new one.
  AND pg_catalog.pg_conf_load_time() < pg_catalog.now() - g.age_s * interval '1 second'
