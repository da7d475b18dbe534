-- summary: SELECT pg_settings
SELECT
  name AS setting,
  -- The session that looks has set search_path alone; what it would be else is its reset value.
  coalesce(CASE WHEN source = 'session' THEN reset_val ELSE setting END, '') AS value,
  coalesce(unit, '') AS unit,
  coalesce(
    CASE WHEN source = 'session' THEN reset_val ELSE pg_catalog.current_setting(name, true) END, ''
  ) AS display_value,
  coalesce(boot_val, '') AS default_value,
  CASE
    WHEN source = 'session' AND reset_val IS NOT DISTINCT FROM boot_val THEN 'default'
    WHEN source = 'session' THEN ''
    ELSE source
  END AS source,
  coalesce(sourcefile, '') AS source_file,
  coalesce(sourceline, 0) AS source_line,
  context,
  pending_restart,
  short_desc AS help
FROM pg_catalog.pg_settings
ORDER BY name
