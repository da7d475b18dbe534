-- summary: SELECT set_config for EXPLAIN
SELECT
  CASE WHEN %(role)s <> '' THEN pg_catalog.set_config('role', %(role)s, true) END AS role,
  pg_catalog.set_config('search_path', %(search_path)s, true) AS search_path,
  pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true) AS plan_cache_mode
