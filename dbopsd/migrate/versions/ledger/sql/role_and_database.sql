-- summary: SELECT current_user
SELECT current_user::pg_catalog.text, pg_catalog.current_database()::pg_catalog.text
