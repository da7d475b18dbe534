--- After these no object differs; `public` is the schema of the ledger.

-- none: rows
INSERT INTO app.users (name, email) VALUES ('a', 'a@b');

-- none: rows that are deleted
INSERT INTO app.animals VALUES (1, 'a');
TRUNCATE app.animals CASCADE;

-- none: statistics
ANALYZE app.users;

-- none: values of sequences
SELECT pg_catalog.nextval('app.numbers'), pg_catalog.setval('app.users_id_seq', 500);

-- none: rows of a materialized view
REFRESH MATERIALIZED VIEW app.counts;

-- none: no rows of a materialized view
REFRESH MATERIALIZED VIEW app.counts WITH NO DATA;

-- none: a new index file
REINDEX TABLE app.users;

-- none: a new order of rows
CLUSTER app.users;

-- none: temporary tables
CREATE TEMP TABLE pg_class (a integer);
CREATE TEMP TABLE text (a integer);

-- none: temporary objects
CREATE TEMP VIEW v AS SELECT 1;
CREATE FUNCTION pg_temp.f() RETURNS integer RETURN 1;

-- none: a privilege given and taken
GRANT SELECT ON app.posts TO PUBLIC;
REVOKE SELECT ON app.posts FROM PUBLIC;

-- none: a column come and gone
ALTER TABLE app.posts ADD fresh integer;
ALTER TABLE app.posts DROP fresh;

-- none: an index made again
DROP INDEX app.users_tags;
CREATE INDEX users_tags ON app.users USING gin (tags) WITH (fastupdate = off);

-- none: an option set again
ALTER TABLE app.users RESET (fillfactor);
ALTER TABLE app.users SET (fillfactor = 70);

-- none: a trigger switched off and on
ALTER TABLE app.users DISABLE TRIGGER touch;
ALTER TABLE app.users ENABLE TRIGGER touch;

-- none: a view changed and changed back
CREATE OR REPLACE VIEW app.joined AS SELECT a.id, a.name, c.lives FROM app.animals AS a JOIN
    app.cats AS c USING (id);
CREATE OR REPLACE VIEW app.joined AS SELECT id, animals.name, lives FROM app.animals JOIN app.cats USING (id);

-- none: settings that change how definitions are written
SET LOCAL search_path = app, public;
SET LOCAL TimeZone = 'Asia/Tokyo';
SET LOCAL DateStyle = 'German';
SET LOCAL IntervalStyle = 'sql_standard';
SET LOCAL extra_float_digits = -10;
SET LOCAL bytea_output = 'escape';
SET LOCAL quote_all_identifiers = on;
SET LOCAL lc_monetary = 'C';
SET LOCAL standard_conforming_strings = off;

-- none: another role
SET LOCAL ROLE pg_monitor;

-- none: dbopsd's own schema
CREATE SCHEMA dbops;
CREATE TABLE dbops.migration_runs (id bigserial PRIMARY KEY);
CREATE TYPE dbops.t AS ENUM ();
CREATE FUNCTION dbops.f() RETURNS integer RETURN 1;

-- none: the ledger in `public`
CREATE TABLE public.migration_runs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
CREATE VIEW public.migrations AS SELECT id FROM public.migration_runs;

-- none: the history of Flyway
CREATE TABLE public.flyway_schema_history (installed_rank integer PRIMARY KEY);

-- none: the history of goose
CREATE TABLE public.goose_db_version (id serial PRIMARY KEY, version_id bigint);
CREATE INDEX ON public.goose_db_version (version_id);

-- none: the history of Drizzle
CREATE SCHEMA drizzle;
CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY);

-- none: large objects
SELECT pg_catalog.lo_create(0);

-- none: members of an extension
CREATE SCHEMA members;
ALTER EXTENSION plpgsql ADD SCHEMA members;
CREATE TABLE members.t (id serial PRIMARY KEY, a text DEFAULT 'x' CHECK (a <> ''));
CREATE INDEX ON members.t (a);
CREATE TRIGGER touch BEFORE UPDATE ON members.t FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE POLICY all_rows ON members.t;
COMMENT ON TABLE members.t IS 'A member';
ALTER EXTENSION plpgsql ADD TABLE members.t;
ALTER EXTENSION plpgsql ADD SEQUENCE members.t_id_seq;
CREATE VIEW members.v AS SELECT id FROM members.t;
ALTER EXTENSION plpgsql ADD VIEW members.v;
CREATE TYPE members.e AS ENUM ('a');
ALTER EXTENSION plpgsql ADD TYPE members.e;
CREATE TYPE members.c AS (a integer);
ALTER EXTENSION plpgsql ADD TYPE members.c;
CREATE DOMAIN members.d AS integer CHECK (VALUE > 0);
ALTER EXTENSION plpgsql ADD DOMAIN members.d;
CREATE FUNCTION members.f(members.e, members.e) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
ALTER EXTENSION plpgsql ADD FUNCTION members.f(members.e, members.e);
CREATE AGGREGATE members.g(integer) (sfunc = int4pl, stype = integer);
ALTER EXTENSION plpgsql ADD AGGREGATE members.g(integer);
CREATE OPERATOR members.=== (leftarg = members.e, rightarg = members.e, function = members.f);
ALTER EXTENSION plpgsql ADD OPERATOR members.=== (members.e, members.e);
CREATE OPERATOR FAMILY members.o USING btree;
ALTER EXTENSION plpgsql ADD OPERATOR FAMILY members.o USING btree;
CREATE OPERATOR FAMILY members.h USING hash;
ALTER EXTENSION plpgsql ADD OPERATOR FAMILY members.h USING hash;
CREATE OPERATOR CLASS members.h FOR TYPE members.c USING hash FAMILY members.h AS STORAGE members.c;
ALTER EXTENSION plpgsql ADD OPERATOR CLASS members.h USING hash;
CREATE CAST (members.c AS members.t) WITH INOUT;
ALTER EXTENSION plpgsql ADD CAST (members.c AS members.t);
CREATE COLLATION members.l (provider = libc, locale = 'C');
ALTER EXTENSION plpgsql ADD COLLATION members.l;
CREATE CONVERSION members.n FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
ALTER EXTENSION plpgsql ADD CONVERSION members.n;
CREATE LANGUAGE member HANDLER plpgsql_call_handler;
ALTER EXTENSION plpgsql ADD LANGUAGE member;
CREATE ACCESS METHOD member TYPE TABLE HANDLER heap_tableam_handler;
ALTER EXTENSION plpgsql ADD ACCESS METHOD member;
CREATE TRANSFORM FOR text LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
ALTER EXTENSION plpgsql ADD TRANSFORM FOR text LANGUAGE sql;
CREATE TEXT SEARCH CONFIGURATION members.s (parser = pg_catalog."default");
ALTER EXTENSION plpgsql ADD TEXT SEARCH CONFIGURATION members.s;
CREATE TEXT SEARCH DICTIONARY members.s (template = pg_catalog.simple);
ALTER EXTENSION plpgsql ADD TEXT SEARCH DICTIONARY members.s;
CREATE TEXT SEARCH TEMPLATE members.s (lexize = dsimple_lexize);
ALTER EXTENSION plpgsql ADD TEXT SEARCH TEMPLATE members.s;
CREATE TEXT SEARCH PARSER members.s (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
ALTER EXTENSION plpgsql ADD TEXT SEARCH PARSER members.s;
CREATE FOREIGN DATA WRAPPER member;
ALTER EXTENSION plpgsql ADD FOREIGN DATA WRAPPER member;
CREATE SERVER member FOREIGN DATA WRAPPER member;
ALTER EXTENSION plpgsql ADD SERVER member;
CREATE EVENT TRIGGER member ON ddl_command_end EXECUTE FUNCTION app.on_ddl();
ALTER EXTENSION plpgsql ADD EVENT TRIGGER member;
