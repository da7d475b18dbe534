-- summary: SELECT set_config for advice
SELECT
  pg_catalog.set_config('statement_timeout', %s, true),
  -- The planner takes a query in a WITH for a few rows, and loops over 20,000 indexes for each of them.
  pg_catalog.set_config('enable_nestloop', 'off', true)
