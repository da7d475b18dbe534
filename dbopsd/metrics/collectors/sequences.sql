/*
about = "How much of sequences is used up, counting the limits of the columns that they feed."
every_s = 300
slow = true
timeout_s = 2
prefix = "pg_sequence_"
labels = ["datname", "schemaname", "sequencename"]

[metrics.pg_sequence_used_ratio]
unit = "1"
help = "The part of its range that a sequence has used, 0 to 1, for the 50 nearest to their end. Cyclic ones are left out."
*/
WITH
-- Reading one of them would wait for its ALTER SEQUENCE, and cost the samples of all others.
locked AS (
  SELECT DISTINCT l.relation AS relid
  FROM pg_catalog.pg_locks AS l
  WHERE
    l.mode IN ('ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    AND l.granted
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
),

sequences AS (
  SELECT
    s.seqrelid,
    n.nspname::pg_catalog.text AS schemaname,
    c.relname::pg_catalog.text AS sequencename,
    s.seqincrement,
    s.seqstart,
    -- A column that the sequence feeds may be narrower than the sequence.
    CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, t.most) ELSE greatest(s.seqmin, -t.most - 1) END AS last,
    CASE
      WHEN
        l.relid IS NULL
        AND pg_catalog.has_sequence_privilege(s.seqrelid, 'SELECT, USAGE')
        -- An unlogged one has nothing to read on a standby.
        AND NOT (c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery())
        THEN pg_catalog.pg_sequence_last_value(s.seqrelid)
    END AS last_value
  FROM pg_catalog.pg_sequence AS s
  INNER JOIN pg_catalog.pg_class AS c ON s.seqrelid = c.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  LEFT JOIN locked AS l ON s.seqrelid = l.relid
  LEFT JOIN pg_catalog.pg_depend AS d
    ON
      d.objid = s.seqrelid
      AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.deptype IN ('a', 'i')
      AND d.refobjsubid > 0
  LEFT JOIN pg_catalog.pg_attribute AS a ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
  CROSS JOIN LATERAL (
    SELECT
      CASE a.atttypid
        WHEN 'pg_catalog.int2'::pg_catalog.regtype THEN 32767
        WHEN 'pg_catalog.int4'::pg_catalog.regtype THEN 2147483647
        ELSE 9223372036854775807
      END AS most
  ) AS t
  WHERE NOT s.seqcycle AND c.relpersistence <> 't'
),

used AS (
  SELECT
    s.schemaname,
    s.sequencename,
    CASE
      WHEN s.last_value IS NULL THEN NULL
      WHEN s.last = s.seqstart THEN 1
      ELSE greatest((s.last_value::pg_catalog.numeric - s.seqstart) / (s.last::pg_catalog.numeric - s.seqstart), 0)
    END AS ratio
  FROM sequences AS s
)

SELECT
  pg_catalog.current_database()::pg_catalog.text AS datname,
  u.schemaname,
  u.sequencename,
  u.ratio AS used_ratio
FROM used AS u
WHERE u.ratio IS NOT NULL
ORDER BY u.ratio DESC
LIMIT 50
