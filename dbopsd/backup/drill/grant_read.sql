-- summary: GRANT pg_read_all_data
GRANT pg_read_all_data, pg_monitor TO {role}
