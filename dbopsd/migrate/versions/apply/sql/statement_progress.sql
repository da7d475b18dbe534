-- summary: SELECT pg_stat_progress
-- What the server tells of a long statement, from 15 to 18 alike: its phase, and how much of that is
-- done of how much, 0 where it does not know. No relation's name, which locks could keep from whoever looks.
SELECT p.command, p.phase, p.done, p.total
FROM (
    SELECT
        c.command, c.phase,
        CASE
            WHEN c.phase LIKE '%%sorting%%' THEN 0
            WHEN c.phase LIKE 'waiting%%' THEN c.lockers_done
            WHEN c.tuples_total > 0 THEN c.tuples_done
            ELSE c.blocks_done
        END AS done,
        CASE
            WHEN c.phase LIKE '%%sorting%%' THEN 0
            WHEN c.phase LIKE 'waiting%%' THEN c.lockers_total
            WHEN c.tuples_total > 0 THEN c.tuples_total
            ELSE c.blocks_total
        END AS total
    FROM pg_catalog.pg_stat_progress_create_index AS c
    WHERE c.pid = %(pid)s
    UNION ALL
    SELECT
        c.command, c.phase,
        CASE c.phase WHEN 'writing new heap' THEN c.heap_tuples_written ELSE c.heap_blks_scanned END,
        CASE c.phase
            WHEN 'seq scanning heap' THEN c.heap_blks_total
            WHEN 'writing new heap' THEN c.heap_tuples_scanned
            ELSE 0
        END
    FROM pg_catalog.pg_stat_progress_cluster AS c
    WHERE c.pid = %(pid)s
    UNION ALL
    SELECT
        'VACUUM', v.phase,
        CASE v.phase WHEN 'vacuuming heap' THEN v.heap_blks_vacuumed ELSE v.heap_blks_scanned END,
        CASE WHEN v.phase IN ('scanning heap', 'vacuuming heap') THEN v.heap_blks_total ELSE 0 END
    FROM pg_catalog.pg_stat_progress_vacuum AS v
    WHERE v.pid = %(pid)s
    UNION ALL
    SELECT
        'ANALYZE', a.phase, a.sample_blks_scanned,
        CASE WHEN a.phase LIKE 'acquiring%%sample rows' THEN a.sample_blks_total ELSE 0 END
    FROM pg_catalog.pg_stat_progress_analyze AS a
    WHERE a.pid = %(pid)s
    UNION ALL
    SELECT c.command, c.tuples_processed::text || ' rows', c.bytes_processed, c.bytes_total
    FROM pg_catalog.pg_stat_progress_copy AS c
    WHERE c.pid = %(pid)s
) AS p
