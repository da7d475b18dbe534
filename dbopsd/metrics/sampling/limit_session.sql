-- summary: SELECT set_config limits
SELECT
  pg_catalog.set_config('statement_timeout', %(statement_timeout)s, false),
  pg_catalog.set_config('lock_timeout', %(lock_timeout)s, false),
  pg_catalog.set_config('default_transaction_read_only', 'on', false),
  -- Compiling or starting workers costs more than any of these queries.
  pg_catalog.set_config('jit', 'off', false),
  pg_catalog.set_config('max_parallel_workers_per_gather', '0', false)
