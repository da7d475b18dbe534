-- summary: SELECT setval
SELECT setval(pg_get_serial_sequence(%s, %s), %s, true)
