/*
about = "VACUUMs that run, from pg_stat_progress_vacuum."
every_s = 10
full_privilege = "pg_read_all_stats"
until = 16
duplicates = "max"
prefix = "pg_stat_progress_vacuum_"
labels = ["datname", "relname"]

[metrics.pg_stat_progress_vacuum_phase]
unit = "1"
help = "1 for the phase that the VACUUM is in, 0 for the others."
column = "in_phase"
labels = ["datname", "relname", "phase"]

[metrics.pg_stat_progress_vacuum_heap_blks]
unit = "{block}"
help = "Blocks of the table."

[metrics.pg_stat_progress_vacuum_heap_blks_scanned]
unit = "{block}"
help = "Blocks scanned."

[metrics.pg_stat_progress_vacuum_heap_blks_vacuumed]
unit = "{block}"
help = "Blocks vacuumed."

[metrics.pg_stat_progress_vacuum_index_vacuums]
unit = "{cycle}"
help = "Completed rounds of vacuuming the indexes."

[metrics.pg_stat_progress_vacuum_max_dead_tuples]
unit = "{row}"
help = "Dead rows that it can keep in mind before it must vacuum the indexes."

[metrics.pg_stat_progress_vacuum_num_dead_tuples]
unit = "{row}"
help = "Dead rows found since it last vacuumed the indexes."
*/
SELECT
  p.datname::pg_catalog.text AS datname,
  -- Its name is known in its own database only; in another one the same number is another table.
  CASE
    WHEN p.datname = pg_catalog.current_database() THEN coalesce(c.relname::pg_catalog.text, p.relid::pg_catalog.text)
    ELSE p.relid::pg_catalog.text
  END AS relname,
  f.phase,
  (p.phase = f.phase)::pg_catalog.int4 AS in_phase,
  p.heap_blks_total AS heap_blks,
  p.heap_blks_scanned,
  p.heap_blks_vacuumed,
  p.index_vacuum_count AS index_vacuums,
  p.max_dead_tuples AS max_dead_tuples,
  p.num_dead_tuples AS num_dead_tuples
FROM pg_catalog.pg_stat_progress_vacuum AS p
CROSS JOIN (
  VALUES ('initializing'), ('scanning heap'), ('vacuuming indexes'), ('vacuuming heap'),
  ('cleaning up indexes'), ('truncating heap'), ('performing final cleanup')
) AS f (phase)
LEFT JOIN pg_catalog.pg_class AS c ON p.relid = c.oid
