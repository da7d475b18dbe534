-- A schema with every kind of object that all supported majors have, named as awkwardly as may be.
-- It makes no role: it grants to those that every server has.
CREATE SCHEMA app;
COMMENT ON SCHEMA app IS 'What the application has';
CREATE SCHEMA "odd ""Schema"".with.dots";
CREATE EXTENSION IF NOT EXISTS plpgsql;

CREATE TYPE app.mood AS ENUM ('sad', 'so so', 'it''s fine');
ALTER TYPE app.mood ADD VALUE 'glad' BEFORE 'so so';
CREATE TYPE app.address AS (street text, zip varchar(10), country char(2) COLLATE "C");
CREATE DOMAIN app.email AS text COLLATE "C" DEFAULT 'nobody@example.org' NOT NULL
    CONSTRAINT has_at CHECK (VALUE ~ '@') CHECK (length(VALUE) < 200);
CREATE TYPE app.float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE app.shell;
CREATE COLLATION app.german (provider = libc, locale = 'C');

CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated := now();
    RETURN NEW;
END $$;
CREATE FUNCTION app.add(a integer, b integer DEFAULT 1, VARIADIC more integer[] DEFAULT '{}')
    RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7
    SET search_path = app, pg_catalog SET work_mem = '1MB'
    AS $$ SELECT a + b + coalesce(sum(m), 0)::integer FROM unnest(more) AS m $$;
CREATE FUNCTION app.atomic(n integer) RETURNS TABLE (x integer, y text) LANGUAGE sql STABLE ROWS 5
    BEGIN ATOMIC
        SELECT g, 'row ' || g FROM generate_series(1, n) AS g WHERE g > 0 ORDER BY g DESC;
    END;
CREATE PROCEDURE app.clean(INOUT days integer) LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN days := days + 1; END';
CREATE FUNCTION app.mood_text(app.mood) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''m''';
CREATE FUNCTION app.same(app.address, app.address) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION app.compare(app.address, app.address) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE AGGREGATE app.total(integer) (sfunc = int4pl, stype = integer, initcond = '0', combinefunc = int4pl, parallel = safe);
CREATE AGGREGATE app.middle(double precision ORDER BY anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra);
CREATE OPERATOR app.=== (leftarg = app.address, rightarg = app.address, function = app.same, commutator = OPERATOR(app.===), restrict = eqsel, join = eqjoinsel);
CREATE OPERATOR FAMILY app.loose USING btree;
CREATE OPERATOR CLASS app.address_ops FOR TYPE app.address USING hash AS OPERATOR 1 app.===;
CREATE CAST (app.mood AS text) WITH FUNCTION app.mood_text(app.mood) AS ASSIGNMENT;
CREATE CAST (app.address AS varchar) WITH INOUT;
CREATE CONVERSION app.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
CREATE LANGUAGE own_language HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler VALIDATOR plpgsql_validator;
CREATE ACCESS METHOD own_heap TYPE TABLE HANDLER heap_tableam_handler;

CREATE TEXT SEARCH PARSER app.parser (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE app.template (init = dsimple_init, lexize = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY app.dictionary (template = app.template, accept = false);
CREATE TEXT SEARCH CONFIGURATION app.configuration (parser = app.parser);
ALTER TEXT SEARCH CONFIGURATION app.configuration ADD MAPPING FOR word, asciiword WITH app.dictionary, pg_catalog.simple;

CREATE SEQUENCE app.numbers AS smallint INCREMENT 5 MINVALUE 5 MAXVALUE 500 START 10 CACHE 3 CYCLE;
CREATE UNLOGGED SEQUENCE app.fleeting;

CREATE TABLE app.users (
    id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 10) PRIMARY KEY,
    legacy serial,
    email app.email,
    name text COLLATE "C" NOT NULL DEFAULT 'no ''name''',
    mood app.mood NOT NULL DEFAULT 'so so',
    home app.address,
    tags text[] NOT NULL DEFAULT '{}',
    born date DEFAULT DATE '2001-02-03',
    seen timestamptz DEFAULT TIMESTAMPTZ '2001-02-03 04:05:06+07',
    every interval DEFAULT INTERVAL '1 day 2 hours',
    ratio float8 DEFAULT float8 '0.30000000000000004',
    data bytea DEFAULT '\xdeadbeef',
    amount numeric(12, 2) DEFAULT 10.50,
    name_length integer GENERATED ALWAYS AS (length(name)) STORED,
    updated timestamptz DEFAULT now(),
    gone integer,
    "odd ""Column"".x" integer,
    CONSTRAINT positive CHECK (amount > 0 OR amount IS NULL),
    CONSTRAINT ratio_range CHECK (ratio BETWEEN 0 AND 1 AND name <> '' AND (id > 0 OR (id < 9 OR id > 7) OR mood IS NULL)) NO INHERIT,
    UNIQUE NULLS NOT DISTINCT (email, born) DEFERRABLE INITIALLY DEFERRED
) WITH (fillfactor = 70, autovacuum_enabled = true, toast.autovacuum_enabled = false);
ALTER TABLE app.users DROP COLUMN gone;
ALTER TABLE app.users ALTER COLUMN data SET STORAGE EXTERNAL, ALTER COLUMN tags SET COMPRESSION pglz,
    ALTER COLUMN name SET STATISTICS 500, ALTER COLUMN born SET (n_distinct = 100);
COMMENT ON TABLE app.users IS 'People';
COMMENT ON COLUMN app.users."odd ""Column"".x" IS E'It''s odd\nand long';
CREATE INDEX users_name ON app.users USING btree (lower(name) COLLATE "C" text_pattern_ops DESC NULLS LAST)
    INCLUDE (mood) WITH (fillfactor = 80) WHERE mood <> 'sad';
ALTER INDEX app.users_name ALTER COLUMN 1 SET STATISTICS 300;
COMMENT ON INDEX app.users_name IS 'By name';
CREATE INDEX users_tags ON app.users USING gin (tags) WITH (fastupdate = off);
CREATE INDEX users_ratio ON app.users USING brin (ratio) WITH (pages_per_range = 16);
CREATE UNIQUE INDEX users_legacy ON app.users (legacy);
ALTER TABLE app.users REPLICA IDENTITY USING INDEX users_legacy;
ALTER TABLE app.users CLUSTER ON users_legacy;
CREATE STATISTICS app.users_statistics (ndistinct, dependencies) ON mood, born FROM app.users;
ALTER STATISTICS app.users_statistics SET STATISTICS 50;
CREATE STATISTICS app.users_expression ON lower(name) FROM app.users;
CREATE TRIGGER touch BEFORE UPDATE OF name, mood ON app.users FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION app.touch();
CREATE TRIGGER quiet AFTER INSERT ON app.users REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION app.touch();
ALTER TABLE app.users DISABLE TRIGGER quiet;
CREATE CONSTRAINT TRIGGER later AFTER DELETE ON app.users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.touch();
COMMENT ON TRIGGER touch ON app.users IS 'Touches';
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON app.users AS RESTRICTIVE FOR UPDATE TO pg_monitor, pg_read_all_data
    USING (name = CURRENT_USER AND EXISTS (SELECT FROM app.users AS u WHERE u.id = users.id)) WITH CHECK (mood <> 'sad');
CREATE POLICY all_rows ON app.users;
COMMENT ON POLICY all_rows ON app.users IS 'None';
GRANT SELECT, INSERT ON app.users TO pg_monitor WITH GRANT OPTION;
GRANT UPDATE (name) ON app.users TO PUBLIC;
GRANT USAGE ON SCHEMA app TO PUBLIC;
REVOKE EXECUTE ON FUNCTION app.touch() FROM PUBLIC;

CREATE TABLE app.posts (
    id uuid DEFAULT gen_random_uuid(),
    author bigint NOT NULL REFERENCES app.users ON DELETE CASCADE ON UPDATE SET NULL,
    reviewer bigint CONSTRAINT reviewed_by REFERENCES app.users (id) MATCH FULL DEFERRABLE,
    editors bigint,
    during tstzrange,
    body text,
    CONSTRAINT posts_key PRIMARY KEY (id),
    EXCLUDE USING gist (during WITH &&) WHERE (body IS NOT NULL)
);
ALTER TABLE app.posts ADD CONSTRAINT edited FOREIGN KEY (editors) REFERENCES app.users (id) ON DELETE SET DEFAULT NOT VALID;
ALTER TABLE app.posts ADD CONSTRAINT written CHECK (body <> '') NOT VALID;
COMMENT ON CONSTRAINT written ON app.posts IS 'Not empty';
ALTER TABLE app.posts REPLICA IDENTITY FULL;
CREATE RULE quiet_delete AS ON DELETE TO app.posts DO INSTEAD NOTHING;
CREATE RULE log_insert AS ON INSERT TO app.posts WHERE NEW.body IS NULL DO ALSO
    (INSERT INTO app.posts (author) SELECT u.id FROM app.users AS u WHERE u.id = NEW.author; DELETE FROM app.users WHERE name = NEW.body);
ALTER TABLE app.posts ENABLE REPLICA RULE log_insert;

CREATE TABLE app.animals (id integer PRIMARY KEY, name text NOT NULL, CHECK (id > 0));
CREATE TABLE app.cats (lives integer DEFAULT 9) INHERITS (app.animals);
CREATE TABLE app.of_address OF app.address (street WITH OPTIONS NOT NULL);
CREATE UNLOGGED TABLE app.cache (k text PRIMARY KEY, v jsonb);
CREATE TABLE app.own_storage (a integer) USING own_heap;
CREATE TABLE "odd ""Schema"".with.dots"."a.b""c" ("x.y" integer CONSTRAINT "k.""z" CHECK ("x.y" > 0));

CREATE TABLE app.events (day date NOT NULL, kind text NOT NULL, n integer, author bigint REFERENCES app.users) PARTITION BY RANGE (day, lower(kind));
CREATE TABLE app.events_2024 PARTITION OF app.events FOR VALUES FROM ('2024-01-01', MINVALUE) TO ('2025-01-01', MINVALUE) PARTITION BY LIST (kind);
CREATE TABLE app.events_2024_a PARTITION OF app.events_2024 FOR VALUES IN ('a', 'it''s', NULL);
CREATE TABLE app.events_2024_rest PARTITION OF app.events_2024 DEFAULT;
CREATE INDEX events_n ON app.events (n);
CREATE TRIGGER touch AFTER INSERT ON app.events FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.events_2024_a DISABLE TRIGGER touch;
CREATE TABLE app.hashed (id integer PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE app.hashed_0 PARTITION OF app.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.hashed_1 (id integer NOT NULL);
ALTER TABLE app.hashed ATTACH PARTITION app.hashed_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.refers (id integer REFERENCES app.hashed);

CREATE VIEW app.names AS SELECT id, name, (home).zip, upper(u.name) AS loud FROM app.users AS u
    WHERE u.name IS NOT NULL GROUP BY u.id, u.name, u.home HAVING count(*) > 0 ORDER BY u.name, 1 LIMIT 10 OFFSET 2;
CREATE VIEW app.checked WITH (security_barrier, check_option = local) AS SELECT * FROM app.users WHERE mood <> 'sad';
CREATE VIEW app.many AS
    WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 10),
        recent AS MATERIALIZED (SELECT p.id, p.author FROM app.posts AS p)
    SELECT u.id, r.id AS post, t.n, x.y, rank() OVER w AS place, count(*) FILTER (WHERE u.mood = 'sad') OVER (PARTITION BY u.mood ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS sad
    FROM app.users AS u LEFT JOIN recent AS r ON r.author = u.id CROSS JOIN t, LATERAL (SELECT u.id + t.n AS y) AS x
    WHERE u.id IN (SELECT author FROM app.posts WHERE author = u.id)
    WINDOW w AS (ORDER BY u.name);
CREATE VIEW app.one_function AS SELECT g FROM generate_series(1, 3) AS g (g) WHERE g > (SELECT min(id) FROM app.animals AS a WHERE a.id > g.g);
CREATE VIEW app.one_subquery AS SELECT s.a, s.b FROM (SELECT id AS a, name AS b FROM app.animals) AS s WHERE s.b <> 's.a' ORDER BY s.a DESC;
CREATE VIEW app.unions AS SELECT id, name FROM app.animals UNION ALL (SELECT id, name FROM app.cats EXCEPT SELECT 1, 'x') ORDER BY 1;
CREATE VIEW app.joined AS SELECT id, animals.name, lives FROM app.animals JOIN app.cats USING (id);
CREATE VIEW app.whole_row AS SELECT u, u.name, row_to_json(u.*) AS j, u."odd ""Column"".x" FROM app.users AS u;
CREATE VIEW app.constants AS SELECT DATE '2001-02-03' AS d, 1.5::float8 AS f, INTERVAL '1 mon' AS i, 'sad'::app.mood IS NULL AS m, '12.5'::money AS money WHERE false;
CREATE VIEW app.odd_table AS SELECT "x.y", "a.b""c"."x.y" + 1 AS z FROM "odd ""Schema"".with.dots"."a.b""c" WHERE "x.y" <> 1;
CREATE VIEW app.values_only AS VALUES (1, 'a'), (2, 'b');
CREATE VIEW app.extracts AS SELECT extract(year FROM born) AS y, substring(name FROM 2 FOR 3) AS s, name LIKE 'a%' AS l, born::timestamp AT TIME ZONE 'UTC' AS z,
    CASE mood WHEN 'sad' THEN 1 ELSE 2 END AS c, coalesce(name, 'x') AS co, ARRAY[id, 2] AS arr, tags[1:2] AS sl, id = ANY (ARRAY[1, 2]) AS an, name COLLATE "POSIX" AS col FROM app.users;
CREATE VIEW app.grouping_sets AS SELECT mood, born, count(*) AS n, grouping(mood) AS g FROM app.users GROUP BY ROLLUP (mood, born);
CREATE VIEW app.distinct_on AS SELECT DISTINCT ON (mood) mood, name FROM app.users ORDER BY mood, name DESC NULLS LAST;
CREATE VIEW app.same_names AS SELECT name AS mood, mood AS name FROM app.users ORDER BY users.name;
CREATE VIEW app.locking AS SELECT id FROM app.users AS u FOR UPDATE OF u SKIP LOCKED;
CREATE VIEW app.sampled AS SELECT id FROM app.users TABLESAMPLE system (10) REPEATABLE (3);
CREATE VIEW app.comparing AS SELECT id FROM app.users WHERE (id, name) = (1, 'a') AND home = ROW('a', 'b', 'c')::app.address AND name ILIKE 'x' AND mood IN ('sad', 'so so');
ALTER VIEW app.names ALTER COLUMN name SET DEFAULT 'view default';
COMMENT ON COLUMN app.names.name IS 'Of the view';
CREATE FUNCTION app.names_insert() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER instead INSTEAD OF INSERT ON app.names FOR EACH ROW EXECUTE FUNCTION app.names_insert();
CREATE RULE to_checked AS ON UPDATE TO app.checked DO INSTEAD UPDATE app.users SET name = NEW.name WHERE users.id = OLD.id RETURNING users.*;
CREATE MATERIALIZED VIEW app.counts AS SELECT mood, count(*) AS n FROM app.users GROUP BY mood WITH DATA;
CREATE UNIQUE INDEX counts_mood ON app.counts (mood);

CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION app.on_ddl();
ALTER EVENT TRIGGER watch DISABLE;
CREATE FOREIGN DATA WRAPPER wrapper OPTIONS (debug 'true');
CREATE SERVER elsewhere TYPE 'a' VERSION '1' FOREIGN DATA WRAPPER wrapper OPTIONS (host 'b', port '1');
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (password 'secret');
CREATE FOREIGN TABLE app.far (id integer OPTIONS (column_name 'x') NOT NULL, name text) SERVER elsewhere OPTIONS (table_name 'y');
CREATE PUBLICATION parts FOR TABLE app.users (id, name, legacy) WHERE (legacy > 1) WITH (publish = 'insert, delete', publish_via_partition_root);
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA "odd ""Schema"".with.dots";
CREATE PUBLICATION everything FOR ALL TABLES;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO pg_monitor;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
