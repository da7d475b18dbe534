/*
about = "Numeric and boolean settings, from pg_settings."
every_s = 60
prefix = "pg_settings_"
rows_name_metrics = true
*/
-- What the sampler has set for its own session says nothing of the server: its reset value does.
WITH settings AS (
  SELECT
    p.name,
    p.vartype,
    p.unit,
    p.short_desc,
    CASE
      WHEN p.name = 'transaction_read_only'
        THEN CASE
          WHEN pg_catalog.pg_is_in_recovery() THEN 'on'
          ELSE pg_catalog.max(p.reset_val) FILTER (WHERE p.name = 'default_transaction_read_only') OVER ()
        END
      WHEN p.source = 'session' THEN p.reset_val
      ELSE p.setting
    END AS setting
  FROM pg_catalog.pg_settings AS p
  WHERE p.vartype IN ('bool', 'integer', 'real')
)

-- Durations in seconds and sizes in bytes, under postgres_exporter's names. -1 means "off" or
-- "as another setting" and stays as it is.
SELECT
  pg_catalog.regexp_replace(pg_catalog.lower(s.name), '[^a-z0-9_]', '_', 'g')
  || coalesce(u.suffix, '') AS metric,
  'gauge' AS type,
  coalesce(u.ucum, '1') AS unit,
  s.short_desc AS help,
  CASE
    WHEN s.vartype = 'bool' THEN (s.setting = 'on')::pg_catalog.int4::pg_catalog.float8
    WHEN s.setting::pg_catalog.float8 = -1 THEN -1
    ELSE s.setting::pg_catalog.float8 * coalesce(u.factor, 1)
  END AS value
FROM settings AS s
LEFT JOIN (
  VALUES
  ('ms', '_seconds', 's', 0.001::pg_catalog.float8),
  ('s', '_seconds', 's', 1),
  ('min', '_seconds', 's', 60),
  ('h', '_seconds', 's', 3600),
  ('d', '_seconds', 's', 86400),
  ('B', '_bytes', 'By', 1),
  ('kB', '_bytes', 'By', 1024),
  ('MB', '_bytes', 'By', 1024 ^ 2),
  ('GB', '_bytes', 'By', 1024 ^ 3),
  ('TB', '_bytes', 'By', 1024 ^ 4),
  ('8kB', '_bytes', 'By', 8192),
  ('16kB', '_bytes', 'By', 16384),
  ('32kB', '_bytes', 'By', 32768),
  ('16MB', '_bytes', 'By', 16 * 1024 ^ 2),
  ('32MB', '_bytes', 'By', 32 * 1024 ^ 2),
  ('64MB', '_bytes', 'By', 64 * 1024 ^ 2)
) AS u (unit, suffix, ucum, factor) ON s.unit = u.unit
