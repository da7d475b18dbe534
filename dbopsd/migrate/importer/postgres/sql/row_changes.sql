-- summary: SELECT pg_stat_get_xact_tuples_updated
-- To how many rows of each table the transaction has done something, itself or by what foreign keys
-- do; but for the catalog. What partitions have is counted for the tables given (by oid), or else for
-- what they are partitions of. Nothing while `track_counts` is off.
WITH trees AS (
    SELECT t.oid AS root, p.relid::oid AS relid
    FROM unnest(%(tables)s::oid[]) AS t (oid) CROSS JOIN LATERAL pg_partition_tree(t.oid) AS p
), counted AS (
    SELECT coalesce(
            (SELECT min(root) FROM trees WHERE relid = c.oid), pg_partition_root(c.oid), c.oid
        ) AS oid,
        pg_stat_get_xact_tuples_updated(c.oid) AS updated,
        pg_stat_get_xact_tuples_deleted(c.oid) AS deleted
    FROM pg_class AS c
    WHERE c.relkind = 'r' AND c.relnamespace <> 'pg_catalog'::regnamespace
        AND pg_stat_get_xact_tuples_updated(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid) > 0
)
SELECT oid::bigint AS oid, oid::regclass::text AS name,
    sum(updated)::bigint AS updated, sum(deleted)::bigint AS deleted
FROM counted GROUP BY oid
