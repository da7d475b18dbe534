-- summary: SELECT pg_index
-- A row for each session that is building the index, and one without a process where there is none.
-- What is built is hidden from roles without pg_read_all_stats, but not that something is: then the
-- lock on the table decides.
SELECT
    n.nspname AS schema, c.relname AS name, i.indisvalid AS valid,
    i.indisunique AS unique, i.indnkeyatts AS keys,
    b.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename::pg_catalog.text, '') AS role,
    coalesce(a.state, '') AS state,
    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.xact_start) AS age_s
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN LATERAL (
    SELECT p.pid
    FROM pg_catalog.pg_stat_progress_create_index AS p
    WHERE p.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
        AND (
            p.index_relid OPERATOR(pg_catalog.=) i.indexrelid
            -- Hidden, or not told yet.
            OR coalesce(p.index_relid, 0) OPERATOR(pg_catalog.=) 0::pg_catalog.oid AND EXISTS (
                SELECT FROM pg_catalog.pg_locks AS l
                WHERE l.pid OPERATOR(pg_catalog.=) p.pid
                    AND l.relation OPERATOR(pg_catalog.=) i.indrelid
                    AND l.mode OPERATOR(pg_catalog.=) 'ShareUpdateExclusiveLock'
                    AND l.granted
            )
        )
) AS b ON true
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) b.pid
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s)
    -- That of a partitioned table is not valid until all partitions have theirs.
    AND c.relkind OPERATOR(pg_catalog.=) 'i'
    AND CASE
        WHEN %(index)s OPERATOR(pg_catalog.<>) '' THEN c.relname OPERATOR(pg_catalog.=) %(index)s::pg_catalog.name
        -- As the server names one that was not there before.
        ELSE c.relname OPERATOR(pg_catalog.~) '_idx[0-9]*$'
            AND i.indexrelid::pg_catalog.int8 OPERATOR(pg_catalog.<>) ALL (%(known)s::pg_catalog.int8[])
    END
