/*
about = "Databases that an interrupted DROP DATABASE left behind: nobody can connect to them."
kinds = ["invalid_database"]
severity = "warning"
risk = "None: its data is gone in part already."
role = "any"
*/
SELECT
  pg_catalog.format('%%I', d.datname) AS object,
  pg_catalog.format('Drop database %%I, which an interrupted DROP DATABASE left behind', d.datname) AS title,
  pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array('datconnlimit', d.datconnlimit::pg_catalog.text, 'pg_database')) AS evidence,
  'its space, and no hindrance to vacuum: its transaction ids age, and nothing can vacuum it' AS gain,
  ARRAY[pg_catalog.format('DROP DATABASE %%I', d.datname)] AS sql,
  '{}'::pg_catalog.text [] AS not_known
FROM pg_catalog.pg_database AS d
WHERE d.datconnlimit = -2
