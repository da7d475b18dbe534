/*
about = "Collations that sort otherwise than when indexes were built: searches can miss rows."
kinds = ["collation_version"]
severity = "critical"
risk = "REINDEX stops writes to each table while its indexes are built, and CONCURRENTLY takes twice the space. Refresh the version only once everything is rebuilt."
role = "any"
*/
WITH used AS (
  SELECT
    c.oid,
    n.nspname,
    c.collname,
    c.collversion,
    pg_catalog.pg_collation_actual_version(c.oid) AS actual,
    ARRAY(
      SELECT DISTINCT d.objid::pg_catalog.regclass::pg_catalog.text
      FROM pg_catalog.pg_depend AS d
      INNER JOIN pg_catalog.pg_index AS i ON d.objid = i.indexrelid
      WHERE
        d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.refclassid = 'pg_catalog.pg_collation'::pg_catalog.regclass
        AND d.refobjid = c.oid
      ORDER BY 1
    ) AS indexes
  FROM pg_catalog.pg_collation AS c
  INNER JOIN pg_catalog.pg_namespace AS n ON c.collnamespace = n.oid
  WHERE c.collversion IS NOT NULL
)

SELECT
  pg_catalog.format('database %%I', d.datname) AS object,
  pg_catalog.format('Rebuild the indexes on texts of database %%I: its collation is of another version now', d.datname) AS title,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('recorded', d.datcollversion, 'pg_database.datcollversion'),
    pg_catalog.jsonb_build_array('actual', pg_catalog.pg_database_collation_actual_version(d.oid), 'pg_database_collation_actual_version')
  ) AS evidence,
  'searches by index find every row, and unique indexes let no twins pass' AS gain,
  ARRAY[
    pg_catalog.format('REINDEX DATABASE CONCURRENTLY %%I', d.datname),
    pg_catalog.format('ALTER DATABASE %%I REFRESH COLLATION VERSION', d.datname)
  ] AS sql,
  ARRAY['which texts sort otherwise: often few, and none of plain letters and digits'] AS not_known
FROM pg_catalog.pg_database AS d
WHERE
  d.datname = pg_catalog.current_database()
  AND d.datcollversion IS DISTINCT FROM pg_catalog.pg_database_collation_actual_version(d.oid)
  AND d.datcollversion IS NOT NULL
UNION ALL
SELECT
  pg_catalog.format('collation %%I.%%I', u.nspname, u.collname),
  pg_catalog.format('Rebuild the indexes with collation %%I.%%I: it is of another version now', u.nspname, u.collname),
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('recorded', u.collversion, 'pg_collation.collversion'),
    pg_catalog.jsonb_build_array('actual', u.actual, 'pg_collation_actual_version'),
    pg_catalog.jsonb_build_array('indexes', pg_catalog.cardinality(u.indexes)::pg_catalog.text, 'pg_depend')
  ),
  'searches by index find every row, and unique indexes let no twins pass',
  (
    SELECT pg_catalog.array_agg(pg_catalog.format('REINDEX INDEX CONCURRENTLY %%s', x.name) ORDER BY x.name)
    FROM pg_catalog.unnest(u.indexes) AS x (name)
  ) || pg_catalog.format('ALTER COLLATION %%I.%%I REFRESH VERSION', u.nspname, u.collname),
  ARRAY['which texts sort otherwise: often few, and none of plain letters and digits']
FROM used AS u
WHERE u.collversion <> u.actual AND pg_catalog.cardinality(u.indexes) > 0
