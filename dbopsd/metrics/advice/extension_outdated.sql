/*
about = "Extensions that are older than what the server has for them."
kinds = ["extension_outdated"]
risk = "Views and functions of the extension can change: read its notes first."
role = "any"
*/
SELECT
  e.extname::pg_catalog.text AS object,
  pg_catalog.format('Update extension %%I from %%s to %%s', e.extname, e.extversion, a.default_version) AS title,
  pg_catalog.jsonb_build_array(
    pg_catalog.jsonb_build_array('installed', e.extversion, 'pg_extension'),
    pg_catalog.jsonb_build_array('available', a.default_version, 'pg_available_extensions')
  ) AS evidence,
  'corrections and functions of the newer version, which the server''s library has already' AS gain,
  ARRAY[pg_catalog.format('ALTER EXTENSION %%I UPDATE', e.extname)] AS sql,
  '{}'::pg_catalog.text [] AS not_known
FROM pg_catalog.pg_extension AS e
INNER JOIN pg_catalog.pg_available_extensions AS a ON e.extname = a.name
WHERE
  e.extversion <> a.default_version
  -- A version that there is no way to is an older one, or one of another branch.
  AND EXISTS (
    SELECT 1
    FROM pg_catalog.pg_extension_update_paths(e.extname) AS p
    WHERE e.extversion = p.source AND a.default_version = p.target AND p.path IS NOT NULL
  )
  AND NOT EXISTS (
    -- Some have a way back, too: then only a greater number is newer.
    SELECT 1
    WHERE
      e.extversion ~ '^[0-9]+(\.[0-9]+)*$'
      AND a.default_version ~ '^[0-9]+(\.[0-9]+)*$'
      AND pg_catalog.string_to_array(e.extversion, '.')::pg_catalog.int4 [] > pg_catalog.string_to_array(a.default_version, '.')::pg_catalog.int4 []
  )
