-- summary: SELECT current_setting
SELECT pg_catalog.current_setting('lock_timeout')
