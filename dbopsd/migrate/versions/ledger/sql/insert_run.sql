-- summary: INSERT migration_runs
INSERT INTO {migration_runs} (
    set, key, version, name, checksum, checksum_algorithm, normalised_checksum, direction, result,
    started_at, finished_at, statements, statements_done, operation, who, backend_pid, backend_start,
    fingerprint, reason, backup, problem, done_digest, request_id
) VALUES (
    %(set)s, %(key)s, %(version)s, %(name)s, %(checksum)s, %(checksum_algorithm)s, %(normalised_checksum)s,
    %(direction)s, %(result)s,
    coalesce(%(started_at)s::pg_catalog.timestamptz, pg_catalog.clock_timestamp()),
    coalesce(
        %(finished_at)s::pg_catalog.timestamptz,
        CASE WHEN %(ended)s::pg_catalog.bool THEN pg_catalog.clock_timestamp() END
    ),
    %(statements)s, %(statements_done)s, %(operation)s, %(who)s, pg_catalog.pg_backend_pid(),
    (SELECT a.backend_start FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a),
    %(fingerprint)s, %(reason)s, %(backup)s, %(problem)s, %(done_digest)s,
    %(request_id)s
)
RETURNING id
