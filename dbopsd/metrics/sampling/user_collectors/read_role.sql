-- summary: SELECT role of user collectors
SELECT
  r.rolname::pg_catalog.text AS name,
  r.rolsuper AS is_superuser,
  (
    SELECT coalesce(pg_catalog.jsonb_agg(d.rolname ORDER BY d.rolname), '[]')
    FROM pg_catalog.pg_roles AS d
    WHERE
      d.oid <> r.oid
      AND (
        d.rolsuper
        OR d.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
      )
      AND pg_catalog.pg_has_role(r.oid, d.oid, 'MEMBER')
  ) AS dangerous
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = session_user
