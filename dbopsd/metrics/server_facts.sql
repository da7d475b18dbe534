-- summary: SELECT server facts
SELECT
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 AS version,
  pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.current_database()::pg_catalog.text AS postgres_database,
  (
    SELECT coalesce(pg_catalog.jsonb_agg(r.rolname), '[]')
    FROM pg_catalog.pg_roles AS r
    WHERE r.rolname ~ '^pg_' AND pg_catalog.pg_has_role(r.oid, 'USAGE')
  ) AS privileges,
  pg_catalog.pg_backend_pid() AS backend_pid,
  (
    SELECT extract(EPOCH FROM a.backend_start)::pg_catalog.float8
    FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a
  ) AS backend_started_at,
  extract(EPOCH FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.float8 AS server_started_at,
  CASE
    WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') THEN pg_catalog.current_setting('data_directory')
  END AS data_directory,
  -- An extension in a schema without USAGE might as well not be there.
  (
    SELECT coalesce(pg_catalog.jsonb_object_agg(e.extname, pg_catalog.jsonb_build_array(e.extversion, n.nspname)), '{}')
    FROM pg_catalog.pg_extension AS e
    INNER JOIN pg_catalog.pg_namespace AS n ON e.extnamespace = n.oid
    WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  ) AS extensions,
  -- Where this role may read the ledger of migrations. What somebody else has made in its place is none: a view calls
  -- functions with the rights of who reads it.
  coalesce(
    (
      SELECT n.nspname::pg_catalog.text
      FROM pg_catalog.pg_roles AS me
      CROSS JOIN pg_catalog.pg_namespace AS n
      INNER JOIN pg_catalog.pg_class AS c ON n.oid = c.relnamespace
      -- The owner of the database is the one member of pg_database_owner, and may give tables to it.
      CROSS JOIN LATERAL (
        SELECT d.datdba AS oid
        FROM pg_catalog.pg_database AS d
        WHERE d.datname = pg_catalog.current_database()
      ) AS owner
      INNER JOIN pg_catalog.pg_roles AS o
        ON CASE c.relowner WHEN 'pg_database_owner'::pg_catalog.regrole THEN owner.oid ELSE c.relowner END = o.oid
      INNER JOIN pg_catalog.pg_roles AS s
        ON CASE n.nspowner WHEN 'pg_database_owner'::pg_catalog.regrole THEN owner.oid ELSE n.nspowner END = s.oid
      WHERE
        me.rolname = current_user AND n.nspname = %(ledger_schema)s::pg_catalog.text
        AND (c.relname, c.relkind) IN (('migrations', 'v'), ('migration_runs', 'r'), ('schema_fingerprint', 'r'))
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
        -- A superuser is a member of every role, and has more rights than each.
        AND (o.rolsuper OR o.oid = me.oid OR NOT me.rolsuper AND pg_catalog.pg_has_role(o.oid, 'MEMBER'))
        AND (s.rolsuper OR s.oid = me.oid OR NOT me.rolsuper)
      GROUP BY n.nspname
      HAVING pg_catalog.count(*) = 3
    ),
    ''
  ) AS ledger_schema
