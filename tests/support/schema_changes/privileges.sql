--- Changes after which the owner or the privileges of an object differ, and nothing else.

-- table: app.posts
ALTER TABLE app.posts OWNER TO pg_monitor;

-- function: app.touch()
ALTER FUNCTION app.touch() OWNER TO pg_monitor;

-- schema: app
ALTER SCHEMA app OWNER TO pg_monitor;

-- type: app.mood
ALTER TYPE app.mood OWNER TO pg_monitor;

-- table: app.posts
GRANT SELECT ON app.posts TO PUBLIC;

-- table: app.users
REVOKE INSERT ON app.users FROM pg_monitor;

-- table: app.users
REVOKE GRANT OPTION FOR SELECT ON app.users FROM pg_monitor;

-- column: app.users.name
REVOKE UPDATE (name) ON app.users FROM PUBLIC;

-- sequence: app.numbers
GRANT USAGE ON SEQUENCE app.numbers TO pg_monitor;

-- function: app.touch()
GRANT EXECUTE ON FUNCTION app.touch() TO PUBLIC;

-- schema: app
REVOKE USAGE ON SCHEMA app FROM PUBLIC;

-- type: app.mood
REVOKE USAGE ON TYPE app.mood FROM PUBLIC;

-- foreign server: elsewhere
GRANT USAGE ON FOREIGN SERVER elsewhere TO pg_monitor;

-- default privileges: postgres IN SCHEMA app ON TABLES
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT INSERT ON TABLES TO pg_monitor;

-- default privileges: postgres ON TYPES
ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO pg_monitor WITH GRANT OPTION;

-- user mapping: elsewhere.PUBLIC
DROP USER MAPPING FOR PUBLIC SERVER elsewhere;
