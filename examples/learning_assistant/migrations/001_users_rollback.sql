DROP VIEW app.active_users;
DROP TABLE app.users;
DROP FUNCTION app.set_audit_columns();
DROP FUNCTION app.actor();
DROP FUNCTION app.is_staff();
DROP FUNCTION app.is_admin();
DROP FUNCTION app.current_user_id();
DROP SCHEMA app;
