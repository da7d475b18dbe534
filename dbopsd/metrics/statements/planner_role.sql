-- summary: SELECT set_config of the planner's role
SELECT pg_catalog.set_config('role', %(role)s, true) AS role
