-- summary: SELECT set_config for EXPLAIN
SELECT
  pg_catalog.set_config('role', 'none', true) AS role,
  pg_catalog.set_config('search_path', %(search_path)s, true) AS search_path,
  pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true) AS plan_cache_mode,
  pg_catalog.set_config('transaction_read_only', 'on', true) AS transaction_read_only
