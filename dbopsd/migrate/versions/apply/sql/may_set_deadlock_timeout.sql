-- summary: SELECT has_parameter_privilege
SELECT pg_catalog.has_parameter_privilege('deadlock_timeout', 'SET') AS may
