-- summary: SET search_path
-- Until the transaction's end: what the role has, behind pg_catalog.
SELECT pg_catalog.set_config(
    'search_path',
    pg_catalog.concat_ws(
        ', ', 'pg_catalog',
        coalesce(
            pg_catalog.current_setting('dbops.search_path', true),
            pg_catalog.current_setting('search_path')
        )
    ),
    true
)
