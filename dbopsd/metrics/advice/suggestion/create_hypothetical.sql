-- summary: SELECT hypopg_create_index
SELECT h.indexrelid FROM {schema}.hypopg_create_index(%s) AS h
