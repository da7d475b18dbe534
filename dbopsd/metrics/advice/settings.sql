/*
about = "Settings that cost speed or safety."
kinds = ["settings"]
role = "any"
needs = ["memory_bytes", "rotational"]
*/
WITH values AS (
  SELECT
    s.name,
    s.setting,
    s.unit,
    s.context,
    s.pending_restart,
    pg_catalog.current_setting(s.name, true) AS shown,
    CASE
      WHEN s.unit = '8kB' THEN 8192
      WHEN s.unit = 'kB' THEN 1024
      WHEN s.unit = 'MB' THEN 1048576
      ELSE 1
    END::pg_catalog.numeric AS unit_bytes
  FROM pg_catalog.pg_settings AS s
),

memory AS (
  SELECT
    %(memory_bytes)s::pg_catalog.numeric AS bytes,
    (SELECT v.setting::pg_catalog.numeric * v.unit_bytes FROM values AS v WHERE v.name = 'shared_buffers') AS shared_buffers,
    (SELECT v.setting::pg_catalog.numeric * v.unit_bytes FROM values AS v WHERE v.name = 'effective_cache_size') AS cache,
    (SELECT v.setting::pg_catalog.numeric * v.unit_bytes FROM values AS v WHERE v.name = 'work_mem') AS work_mem,
    (SELECT v.setting::pg_catalog.numeric FROM values AS v WHERE v.name = 'max_connections') AS connections
),

advised AS (
  SELECT
    'shared_buffers' AS name,
    'info' AS severity,
    pg_catalog.format('%%s MB', pg_catalog.floor(m.bytes * 0.25 / 1048576)) AS value,
    'the server''s cache is less than 15 %% of the memory' AS why,
    'fewer reads that leave the server, most of all for what is written often' AS gain,
    'It takes effect at a restart. A cache above 40 %% of the memory takes from the system''s.' AS risk,
    'what else runs on the machine' AS not_known
  FROM memory AS m
  WHERE m.shared_buffers < 0.15 * m.bytes
  UNION ALL
  SELECT
    'effective_cache_size', 'info', pg_catalog.format('%%s MB', pg_catalog.floor(m.bytes * 0.75 / 1048576)),
    'the planner believes that less than half of the memory caches data',
    'the planner prefers indexes where they are cached', 'Plans change.', 'what else runs on the machine'
  FROM memory AS m
  WHERE m.cache < 0.5 * m.bytes
  UNION ALL
  SELECT
    'work_mem', 'warning', pg_catalog.format('%%s kB', greatest(pg_catalog.floor(m.bytes * 0.25 / m.connections / 1024), 64)),
    'every connection sorting at once would take more than half of the memory',
    'no sorting and hashing of many connections ends in the out-of-memory killer',
    'Large sorts write temporary files.', 'how many connections sort at once'
  FROM memory AS m
  WHERE m.work_mem * m.connections > 0.5 * m.bytes
  UNION ALL
  SELECT
    'random_page_cost', 'info', '1.1', 'the disk of the data directory has no platters, and 4 is for those',
    'the planner prefers indexes where they are faster', 'Plans change.', 'whether tablespaces are on other disks'
  FROM values AS v
  WHERE v.name = 'random_page_cost' AND v.setting::pg_catalog.numeric = 4 AND NOT %(rotational)s::pg_catalog.bool
  UNION ALL
  SELECT
    'checkpoint_completion_target', 'info', '0.9', 'checkpoints write their pages in a burst',
    'writes are spread over the time between checkpoints', 'None.', NULL
  FROM values AS v
  WHERE v.name = 'checkpoint_completion_target' AND v.setting::pg_catalog.numeric < 0.9
  UNION ALL
  SELECT
    'autovacuum', 'critical', 'on', 'nothing removes dead rows, and nothing keeps statistics up',
    'tables do not grow without end, and plans fit the data', 'Autovacuum begins with all tables soon, which costs I/O once.', NULL
  FROM values AS v
  WHERE v.name = 'autovacuum' AND v.setting = 'off'
  UNION ALL
  SELECT
    'fsync', 'critical', 'on', 'a crash of the machine can damage every database beyond repair',
    'a crash costs nothing that was committed', 'Commits wait for the disk.', NULL
  FROM values AS v
  WHERE v.name = 'fsync' AND v.setting = 'off'
  UNION ALL
  SELECT
    'full_page_writes', 'critical', 'on', 'a crash of the machine can leave pages that are half written',
    'a crash leaves no page half written', 'More WAL is written.', 'whether the file system writes pages as a whole, as ZFS does'
  FROM values AS v
  WHERE v.name = 'full_page_writes' AND v.setting = 'off'
  UNION ALL
  SELECT
    'track_io_timing', 'info', 'on', 'nothing tells how long reads and writes take',
    'statements, tables and EXPLAIN show the time that they wait for disks',
    'It reads the clock at each read: pg_test_timing tells what that costs.', NULL
  FROM values AS v
  WHERE v.name = 'track_io_timing' AND v.setting = 'off'
  UNION ALL
  SELECT
    'idle_in_transaction_session_timeout', 'info', '10min', 'a client that forgets its transaction holds locks and dead rows for ever',
    'forgotten transactions end by themselves', 'A client that waits longer within a transaction loses it.',
    'whether a client needs longer: set it for its role then'
  FROM values AS v
  WHERE v.name = 'idle_in_transaction_session_timeout' AND v.setting::pg_catalog.numeric = 0
),

overrides AS (
  SELECT
    pg_catalog.split_part(c.entry, '=', 1) AS name,
    pg_catalog.string_agg(
      pg_catalog.format(
        '%%s (%%s)', pg_catalog.substr(c.entry, pg_catalog.strpos(c.entry, '=') + 1),
        pg_catalog.concat_ws(', ', 'role ' || r.rolname::pg_catalog.text, 'database ' || d.datname::pg_catalog.text)
      ), '; ' ORDER BY r.rolname, d.datname
    ) AS shown
  FROM pg_catalog.pg_db_role_setting AS o
  CROSS JOIN LATERAL pg_catalog.unnest(o.setconfig) AS c (entry)
  LEFT JOIN pg_catalog.pg_roles AS r ON o.setrole = r.oid
  LEFT JOIN pg_catalog.pg_database AS d ON o.setdatabase = d.oid
  GROUP BY 1
)

SELECT
  a.name AS object,
  pg_catalog.format('Set %%s to %%s: %%s', a.name, a.value, a.why) AS title,
  a.severity,
  CASE WHEN a.not_known IS NULL THEN 'high' ELSE 'low' END AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('value', v.shown, 'pg_settings'),
    pg_catalog.jsonb_build_array('also_set', o.shown, 'pg_db_role_setting'),
    pg_catalog.jsonb_build_array(
      'memory', CASE WHEN v.unit_bytes > 1 AND v.name <> 'track_io_timing' THEN pg_catalog.pg_size_pretty(%(memory_bytes)s::pg_catalog.numeric) END,
      'the host, which is the daemon''s own'
    )
  ) AS evidence,
  a.gain,
  a.risk,
  ARRAY[pg_catalog.format('ALTER SYSTEM SET %%I = %%L', a.name, pg_catalog.replace(a.value, ' ', '')), 'SELECT pg_catalog.pg_reload_conf()'] AS sql,
  ARRAY[a.not_known] AS not_known,
  NULL AS gap_reason,
  NULL AS gap
FROM advised AS a
INNER JOIN values AS v ON a.name = v.name
LEFT JOIN overrides AS o ON a.name = o.name
-- What waits for a restart already has advice of its own.
WHERE NOT v.pending_restart
UNION ALL
SELECT
  pg_catalog.format('%%s (pending)', v.name),
  pg_catalog.format('Restart the server: %%s has another value in the configuration than the server runs with', v.name),
  'info', 'high',
  pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array('value', v.shown, 'pg_settings'), pg_catalog.jsonb_build_array('takes_effect', v.context, 'pg_settings')),
  'the server runs with what its configuration says', 'A restart ends every session.', '{}', '{}', NULL, NULL
FROM values AS v
WHERE v.pending_restart
UNION ALL
SELECT
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'SERVER_ELSEWHERE',
  'shared_buffers, effective_cache_size, work_mem and random_page_cost: the memory and the disk of the server''s host are not known'
  || ' here, because it is another machine'
WHERE %(memory_bytes)s::pg_catalog.numeric IS NULL
