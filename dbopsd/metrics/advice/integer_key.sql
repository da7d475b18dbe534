/*
about = "Integer primary keys that no sequence feeds, and whose values near the limit of their type."
kinds = ["integer_key"]
severity = "warning"
risk = "A wider column rewrites the table and its indexes under an ACCESS EXCLUSIVE lock; columns that reference it, and programs that read it, need the wider type too."
*/
WITH keys AS (
  SELECT
    n.nspname,
    c.relname,
    a.attname,
    a.atttypid,
    CASE a.atttypid WHEN 'pg_catalog.int2'::pg_catalog.regtype THEN 32767 ELSE 2147483647 END AS most
  FROM pg_catalog.pg_constraint AS k
  INNER JOIN pg_catalog.pg_class AS c ON k.conrelid = c.oid
  INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
  INNER JOIN pg_catalog.pg_attribute AS a ON k.conrelid = a.attrelid AND a.attnum = k.conkey[1]
  WHERE
    k.contype = 'p'
    AND pg_catalog.cardinality(k.conkey) = 1
    AND NOT c.relispartition
    AND a.atttypid IN ('pg_catalog.int2'::pg_catalog.regtype, 'pg_catalog.int4'::pg_catalog.regtype)
    -- The values of a sequence are judged by it.
    AND pg_catalog.pg_get_serial_sequence(pg_catalog.format('%%I.%%I', n.nspname, c.relname), a.attname) IS NULL
    AND NOT a.atthasdef
    AND NOT EXISTS (
      SELECT 1 FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
    )
),

largest AS (
  SELECT
    k.*,
    (SELECT pg_catalog.max(pg_catalog.abs(b.bound)) FROM pg_catalog.unnest(s.histogram_bounds::pg_catalog.text::pg_catalog.int8 []) AS b (bound)) AS value
  FROM keys AS k
  INNER JOIN pg_catalog.pg_stats AS s ON k.nspname = s.schemaname AND k.relname = s.tablename AND k.attname = s.attname
  WHERE s.histogram_bounds IS NOT NULL
)

SELECT
  pg_catalog.format('%%I.%%I (%%I)', l.nspname, l.relname, l.attname) AS object,
  pg_catalog.format(
    'Widen key %%I of %%I.%%I: its values have reached %%s %%%% of the limit of their type',
    l.attname, l.nspname, l.relname, pg_catalog.round(100.0 * l.value / l.most, 1)
  ) AS title,
  CASE WHEN l.value > 0.9 * l.most THEN 'critical' ELSE 'warning' END AS severity,
  'low' AS confidence,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('largest_value', l.value::pg_catalog.text, 'pg_stats.histogram_bounds, at the last ANALYZE'),
    pg_catalog.jsonb_build_array('limit', l.most::pg_catalog.text, pg_catalog.format('type %%s', pg_catalog.format_type(l.atttypid, NULL)))
  ) AS evidence,
  'INSERTs go on: past the limit each of them fails' AS gain,
  ARRAY[pg_catalog.format('ALTER TABLE %%I.%%I ALTER COLUMN %%I TYPE bigint', l.nspname, l.relname, l.attname)] AS sql,
  ARRAY['whether the values grow: no sequence gives them, and the largest one may be no newer than others'] AS not_known
FROM largest AS l
WHERE l.value > 0.8 * l.most
