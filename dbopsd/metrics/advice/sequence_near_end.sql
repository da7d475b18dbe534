/*
about = "Sequences that have used up most of their range, or of that of the column that they feed."
kinds = ["sequence_near_end"]
severity = "warning"
risk = "A wider column rewrites the table and its indexes under an ACCESS EXCLUSIVE lock; columns that reference it, and programs that read it, need the wider type too."
role = "any"
needs = ["use"]
*/
WITH records AS MATERIALIZED (
  -- Looking up each object in the JSON would copy all of it each time.
  SELECT e.key::pg_catalog.oid AS oid, e.value AS record
  FROM pg_catalog.jsonb_each(%(use)s::pg_catalog.jsonb -> 'sequences') AS e
),

fed AS (
  -- An owned sequence (serial, identity), or one that a default names.
  SELECT d.objid AS seqrelid, d.refobjid AS attrelid, d.refobjsubid AS attnum
  FROM pg_catalog.pg_depend AS d
  WHERE
    d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.deptype IN ('a', 'i')
    AND d.refobjsubid > 0
  UNION
  SELECT d.refobjid, f.adrelid, f.adnum
  FROM pg_catalog.pg_depend AS d
  INNER JOIN pg_catalog.pg_attrdef AS f ON d.objid = f.oid
  WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
),

columns AS (
  SELECT DISTINCT ON (f.seqrelid)
    f.seqrelid,
    f.attrelid,
    a.attname,
    a.atttypid,
    t.most
  FROM fed AS f
  INNER JOIN pg_catalog.pg_attribute AS a ON f.attrelid = a.attrelid AND f.attnum = a.attnum AND NOT a.attisdropped
  CROSS JOIN LATERAL (
    SELECT
      CASE a.atttypid
        WHEN 'pg_catalog.int2'::pg_catalog.regtype THEN 32767
        WHEN 'pg_catalog.int4'::pg_catalog.regtype THEN 2147483647
        WHEN 'pg_catalog.int8'::pg_catalog.regtype THEN 9223372036854775807
      END AS most
  ) AS t
  WHERE t.most IS NOT NULL
  ORDER BY f.seqrelid, t.most
),

sequences AS (
  SELECT
    s.*,
    n.nspname,
    c.relname,
    o.attrelid,
    o.attname,
    o.atttypid,
    o.most,
    CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, o.most) ELSE greatest(s.seqmin, -o.most - 1) END AS last,
    pg_catalog.has_sequence_privilege(s.seqrelid, 'SELECT, USAGE') AND NOT (c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery())
      AS readable
  FROM pg_catalog.pg_sequence AS s
  INNER JOIN pg_catalog.pg_class AS c ON s.seqrelid = c.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  LEFT JOIN columns AS o ON s.seqrelid = o.seqrelid
  WHERE NOT s.seqcycle AND c.relpersistence <> 't'
),

valued AS (
  SELECT s.*, CASE WHEN s.readable THEN pg_catalog.pg_sequence_last_value(s.seqrelid) END AS value
  FROM sequences AS s
),

used AS (
  SELECT
    v.*,
    CASE
      WHEN v.last = v.seqstart THEN 1
      ELSE greatest((v.value::pg_catalog.numeric - v.seqstart) / (v.last::pg_catalog.numeric - v.seqstart), 0)
    END AS ratio,
    (u.record ->> 'value')::pg_catalog.numeric AS earlier,
    (u.record ->> 'age_s')::pg_catalog.numeric AS age_s
  FROM valued AS v
  LEFT JOIN records AS u ON v.seqrelid = u.oid
  WHERE v.value IS NOT NULL
),

near AS (
  SELECT
    u.*,
    CASE
      WHEN u.age_s > 0 AND pg_catalog.abs(u.value - u.earlier) > 0
        THEN pg_catalog.abs(u.last::pg_catalog.numeric - u.value) / (pg_catalog.abs(u.value - u.earlier) / u.age_s) / 86400
    END AS days
  FROM used AS u
  WHERE u.ratio > 0.8
)

SELECT
  pg_catalog.format('%%I.%%I', u.nspname, u.relname) AS object,
  CASE
    WHEN u.attrelid IS NOT NULL AND pg_catalog.abs(u.last) >= u.most
      THEN pg_catalog.format(
        'Widen column %%I of %%s: its sequence has used %%s %%%% of its range',
        u.attname, u.attrelid::pg_catalog.regclass, pg_catalog.round(100 * u.ratio, 1)
      )
    ELSE pg_catalog.format('Extend sequence %%I.%%I: it has used %%s %%%% of its range', u.nspname, u.relname, pg_catalog.round(100 * u.ratio, 1))
  END AS title,
  CASE WHEN u.ratio > 0.9 THEN 'critical' ELSE 'warning' END AS severity,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('last_value', u.value::pg_catalog.text, 'pg_sequence_last_value'),
    pg_catalog.jsonb_build_array('limit', u.last::pg_catalog.text, CASE WHEN u.most = pg_catalog.abs(u.last) THEN 'type of the column' ELSE 'pg_sequence' END),
    pg_catalog.jsonb_build_array('used', pg_catalog.round(100 * u.ratio, 2)::pg_catalog.text || ' %%', 'from its start to the limit'),
    pg_catalog.jsonb_build_array(
      'column',
      CASE
        WHEN u.attrelid IS NOT NULL
          THEN pg_catalog.format('%%s.%%I %%s', u.attrelid::pg_catalog.regclass, u.attname, pg_catalog.format_type(u.atttypid, NULL))
      END,
      'pg_depend'
    ),
    pg_catalog.jsonb_build_array('days_left', pg_catalog.round(u.days)::pg_catalog.text, pg_catalog.format('growth of the last %%s h', pg_catalog.round(u.age_s / 3600)))
  ) AS evidence,
  'INSERTs go on: at the limit each of them fails' AS gain,
  pg_catalog.array_remove(ARRAY[
    CASE
      WHEN u.atttypid IN ('pg_catalog.int2'::pg_catalog.regtype, 'pg_catalog.int4'::pg_catalog.regtype)
        THEN pg_catalog.format('ALTER TABLE %%s ALTER COLUMN %%I TYPE bigint', u.attrelid::pg_catalog.regclass, u.attname)
    END,
    CASE WHEN u.seqtypid <> 'pg_catalog.int8'::pg_catalog.regtype THEN pg_catalog.format('ALTER SEQUENCE %%I.%%I AS bigint', u.nspname, u.relname) END,
    CASE
      WHEN u.seqincrement > 0 AND (u.seqtypid = 'pg_catalog.int8'::pg_catalog.regtype OR u.seqmax NOT IN (32767, 2147483647))
        AND u.seqmax < 9223372036854775807
        THEN pg_catalog.format('ALTER SEQUENCE %%I.%%I NO MAXVALUE', u.nspname, u.relname)
      WHEN u.seqincrement < 0 AND (u.seqtypid = 'pg_catalog.int8'::pg_catalog.regtype OR u.seqmin NOT IN (-32768, -2147483648))
        AND u.seqmin > -9223372036854775808
        THEN pg_catalog.format('ALTER SEQUENCE %%I.%%I NO MINVALUE', u.nspname, u.relname)
    END
  ], NULL) AS sql,
  ARRAY[
    CASE WHEN u.days IS NULL THEN 'how soon: the daemon has not watched the sequence grow for long enough' END,
    CASE
      WHEN u.attrelid IS NULL THEN 'which columns take its values: nothing in the catalogue says so'
    END
  ] AS not_known,
  NULL AS gap
FROM near AS u
UNION ALL
SELECT
  NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  pg_catalog.format(
    'the role of the DSN may not read %%s sequences, such as %%s: GRANT SELECT ON them, or pg_read_all_data, to it',
    pg_catalog.count(*), pg_catalog.min(pg_catalog.format('%%I.%%I', s.nspname, s.relname))
  )
FROM sequences AS s
WHERE NOT s.readable
HAVING pg_catalog.count(*) > 0
