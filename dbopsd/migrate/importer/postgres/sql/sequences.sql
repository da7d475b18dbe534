-- summary: SELECT pg_get_serial_sequence
SELECT a.attname, pg_get_serial_sequence(%(table)s, a.attname)
FROM pg_attribute AS a
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
    AND pg_get_serial_sequence(%(table)s, a.attname) IS NOT NULL
