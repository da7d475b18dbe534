/*
about = "Indexes that nothing has searched for 30 days."
kinds = ["unused_index"]
needs = ["use", "unused_days", "unused_index_bytes", "unused_index_writes_a_day"]
risk = "A statement that runs once a quarter may want it: keep the definition above to build it again."
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

locked AS (
  -- SQL of an index is written under a lock on its table, for which it would wait here.
  SELECT l.relation
  FROM pg_catalog.pg_locks AS l
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
),

known AS (
  SELECT
    %(use)s::pg_catalog.jsonb - 'indexes' - 'tables' - 'sequences' AS use,
    (SELECT d.stats_reset FROM pg_catalog.pg_stat_database AS d WHERE d.datname = pg_catalog.current_database()) AS reset_at
),

records AS MATERIALIZED (
  -- Looking up each index in the JSON would copy all of it each time.
  SELECT e.key::pg_catalog.oid AS oid, e.value AS record
  FROM pg_catalog.jsonb_each(%(use)s::pg_catalog.jsonb -> 'indexes') AS e
),

standbys AS (
  SELECT
    pg_catalog.array_remove(pg_catalog.array_agg(DISTINCT pg_catalog.format('%%s', coalesce(nullif(r.application_name, ''), pg_catalog.host(r.client_addr)))), '') AS names
  FROM pg_catalog.pg_stat_replication AS r
  WHERE r.application_name IS DISTINCT FROM 'pg_basebackup'
),

indexes AS (
  SELECT
    i.indexrelid,
    i.indrelid,
    n.nspname,
    c.relname,
    c.relkind,
    (i.indkey::pg_catalog.int2 [])[0:i.indnkeyatts - 1] AS columns,
    c.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS bytes,
    (pg_catalog.to_jsonb(s) ->> 'last_idx_scan')::pg_catalog.timestamptz AS scanned_at,
    s.idx_scan,
    r.record
  FROM pg_catalog.pg_index AS i
  INNER JOIN pg_catalog.pg_class AS c ON i.indexrelid = c.oid
  INNER JOIN pg_catalog.pg_class AS t ON i.indrelid = t.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  INNER JOIN pg_catalog.pg_stat_user_indexes AS s ON i.indexrelid = s.indexrelid
  LEFT JOIN records AS r ON i.indexrelid = r.oid
  WHERE
    c.relkind = 'i'
    -- A partition's goes with its parent's, of which every child would have to be unused.
    AND NOT c.relispartition
    AND i.indisvalid
    AND NOT (i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisreplident OR i.indisclustered)
    AND t.relpersistence <> 't'
    AND i.indexrelid NOT IN (SELECT o.conindid FROM pg_catalog.pg_constraint AS o WHERE o.contype IN ('p', 'u', 'x'))
    AND NOT EXISTS (
      SELECT 1 FROM pg_catalog.pg_depend AS d
      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid IN (i.indexrelid, i.indrelid) AND d.deptype = 'e'
    )
  UNION ALL
  -- A partitioned index is used as soon as one of its partitions is.
  SELECT
    i.indexrelid,
    i.indrelid,
    n.nspname,
    c.relname,
    c.relkind,
    (i.indkey::pg_catalog.int2 [])[0:i.indnkeyatts - 1],
    p.bytes,
    p.scanned_at,
    p.idx_scan,
    CASE
      WHEN p.recorded THEN pg_catalog.jsonb_build_object('quiet_s', p.quiet_s, 'watched_s', p.watched_s, 'elsewhere', p.elsewhere)
    END
  FROM pg_catalog.pg_index AS i
  INNER JOIN pg_catalog.pg_class AS c ON i.indexrelid = c.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  CROSS JOIN LATERAL (
    SELECT
      pg_catalog.sum(x.relpages)::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8 AS bytes,
      pg_catalog.max((pg_catalog.to_jsonb(s) ->> 'last_idx_scan')::pg_catalog.timestamptz) AS scanned_at,
      pg_catalog.sum(s.idx_scan)::pg_catalog.int8 AS idx_scan,
      pg_catalog.count(*) > 0 AND pg_catalog.bool_and(r.record IS NOT NULL) AS recorded,
      pg_catalog.min((r.record ->> 'quiet_s')::pg_catalog.numeric) AS quiet_s,
      pg_catalog.min((r.record ->> 'watched_s')::pg_catalog.numeric) AS watched_s,
      pg_catalog.bool_or((r.record ->> 'elsewhere')::pg_catalog.bool) AS elsewhere
    FROM partitions AS t
    INNER JOIN pg_catalog.pg_class AS x ON t.relid = x.oid
    INNER JOIN pg_catalog.pg_stat_user_indexes AS s ON x.oid = s.indexrelid
    LEFT JOIN records AS r ON x.oid = r.oid
    WHERE i.indexrelid = t.root
  ) AS p
  WHERE
    c.relkind = 'I'
    AND NOT c.relispartition
    AND NOT (i.indisunique OR i.indisprimary OR i.indisexclusion)
    AND i.indexrelid NOT IN (SELECT o.conindid FROM pg_catalog.pg_constraint AS o WHERE o.contype IN ('p', 'u', 'x'))
),

quiet AS (
  SELECT
    i.*,
    w.writes_a_day,
    coalesce(
      (i.record ->> 'quiet_s')::pg_catalog.numeric,
      0
    ) AS quiet_s,
    -- From 16 on the server itself knows the time of the last one.
    i.scanned_at < pg_catalog.now() - %(unused_days)s * interval '1 day' AS known_by_server
  FROM indexes AS i
  LEFT JOIN LATERAL (
    SELECT
      (
        pg_catalog.pg_stat_get_tuples_inserted(i.indrelid) + pg_catalog.pg_stat_get_tuples_updated(i.indrelid)
        + pg_catalog.pg_stat_get_tuples_deleted(i.indrelid)
      )
      / greatest(extract(EPOCH FROM pg_catalog.now() - coalesce(k.reset_at, pg_catalog.pg_postmaster_start_time())) / 86400, 1) AS writes_a_day
    FROM known AS k
  ) AS w ON true
),

unused AS (
  SELECT q.*
  FROM quiet AS q
  WHERE
    (q.known_by_server OR q.quiet_s >= 86400 * %(unused_days)s)
    -- A standby that the daemon knows has used it.
    AND NOT coalesce((q.record ->> 'elsewhere')::pg_catalog.bool, false)
    AND (q.bytes >= %(unused_index_bytes)s OR q.writes_a_day >= %(unused_index_writes_a_day)s)
    -- The only one that serves a foreign key is kept for its deletes.
    AND NOT EXISTS (
      SELECT 1
      FROM pg_catalog.pg_constraint AS f
      WHERE
        f.contype = 'f'
        AND f.conrelid = q.indrelid
        AND q.columns[1:pg_catalog.cardinality(f.conkey)] @> f.conkey
        AND q.columns[1:pg_catalog.cardinality(f.conkey)] <@ f.conkey
        AND NOT EXISTS (
          SELECT 1
          FROM pg_catalog.pg_index AS o
          WHERE
            o.indrelid = q.indrelid
            AND o.indexrelid <> q.indexrelid
            AND o.indisvalid
            AND o.indpred IS NULL
            AND o.indnkeyatts >= pg_catalog.cardinality(f.conkey)
            AND (o.indkey::pg_catalog.int2 [])[0:pg_catalog.cardinality(f.conkey) - 1] @> f.conkey
            AND (o.indkey::pg_catalog.int2 [])[0:pg_catalog.cardinality(f.conkey) - 1] <@ f.conkey
        )
    )
)

SELECT
  pg_catalog.format('%%I.%%I', u.nspname, u.relname) AS object,
  pg_catalog.format(
    'Drop %%I.%%I: nothing has searched it for %%s days', u.nspname, u.relname,
    pg_catalog.floor(greatest(u.quiet_s / 86400, extract(EPOCH FROM pg_catalog.now() - u.scanned_at) / 86400))
  ) AS title,
  CASE
    WHEN pg_catalog.cardinality(coalesce(s.names, '{}')) > (k.use ->> 'standbys')::pg_catalog.int4 THEN 'low'
    ELSE 'high'
  END AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('definition', CASE WHEN NOT u.indrelid = ANY(SELECT l.relation FROM locked AS l) THEN pg_catalog.pg_get_indexdef(u.indexrelid) END, 'pg_index'),
    pg_catalog.jsonb_build_array('index_size', pg_catalog.pg_size_pretty(u.bytes), 'pg_class.relpages'),
    pg_catalog.jsonb_build_array(
      'days_without_a_search', nullif(pg_catalog.floor(u.quiet_s / 86400), 0)::pg_catalog.text, 'the daemon''s own record of pg_stat_user_indexes.idx_scan'
    ),
    pg_catalog.jsonb_build_array('last_search', u.scanned_at::pg_catalog.text, 'pg_stat_user_indexes.last_idx_scan'),
    pg_catalog.jsonb_build_array('writes_a_day', pg_catalog.round(u.writes_a_day)::pg_catalog.text, 'pg_stat_user_tables, since the statistics were reset')
  ) AS evidence,
  pg_catalog.format('%%s, and the upkeep of one index at each write', pg_catalog.pg_size_pretty(u.bytes)) AS gain,
  CASE
    WHEN u.relkind = 'I'
      THEN 'DROP INDEX of a partitioned index takes an ACCESS EXCLUSIVE lock on the table and every partition, for a moment.'
  END AS risk,
  ARRAY[pg_catalog.format('DROP INDEX %%s%%I.%%I', CASE WHEN u.relkind = 'I' THEN '' ELSE 'CONCURRENTLY ' END, u.nspname, u.relname)] AS sql,
  ARRAY[
    CASE
      WHEN pg_catalog.cardinality(coalesce(s.names, '{}')) > (k.use ->> 'standbys')::pg_catalog.int4
        THEN pg_catalog.format(
          'whether standby %%s uses it: its searches are counted there; add it to the daemon''s databases',
          pg_catalog.array_to_string(s.names, ', ')
        )
    END
  ] AS not_known,
  NULL AS gap_reason,
  NULL AS gap
FROM unused AS u
CROSS JOIN standbys AS s
CROSS JOIN known AS k
UNION ALL
SELECT
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'HISTORY_SHORT',
  pg_catalog.format(
    'the daemon has watched the use of indexes for %%s days, and judges by %%s',
    coalesce(pg_catalog.round((k.use ->> 'watched_s')::pg_catalog.numeric / 86400, 1), 0), %(unused_days)s
  )
FROM known AS k
WHERE coalesce((k.use ->> 'watched_s')::pg_catalog.numeric, 0) < 86400 * %(unused_days)s
