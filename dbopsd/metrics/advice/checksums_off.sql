/*
about = "A server that does not notice pages which the disk has damaged."
kinds = ["checksums_off"]
risk = "pg_checksums --enable needs the server stopped, and reads and writes every page."
role = "any"
*/
SELECT
  'data_checksums' AS object,
  'Turn data checksums on at the next maintenance: damaged pages are not noticed now' AS title,
  pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_array('data_checksums', s.setting, 'pg_settings')) AS evidence,
  'a damaged page is an error when it is read, and not wrong rows and damaged backups' AS gain,
  '{}'::pg_catalog.text [] AS sql,
  ARRAY['whether the storage has checksums of its own'] AS not_known,
  'low' AS confidence
FROM pg_catalog.pg_settings AS s
WHERE s.name = 'data_checksums' AND s.setting = 'off'
