"""Statements, and what a check finds in each where the tables that it names are there and small.

In `CASES`, a statement that is the only one of a file that runs in a transaction; in
`OUTSIDE`, of one that does not. What is found: the rule, and how bad it is: `P` for a problem that
nobody can override, or the first letter of the severity.
"""

from typing import Final

LIVE: Final = """
CREATE TABLE big (id bigint PRIMARY KEY);
CREATE TABLE t (id bigint, a bigint, v varchar(100), n numeric(8, 2), w text);
CREATE INDEX t_a ON t (a);
CREATE MATERIALIZED VIEW m AS SELECT 1 AS one;
CREATE TABLE p (a bigint) PARTITION BY RANGE (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1);
CREATE TABLE p2 (a bigint);
CREATE SCHEMA dbops;
CREATE TABLE dbops.migration_runs (id bigint PRIMARY KEY, name text, result text);
"""
"""What the database has."""

CASES: Final[dict[str, str]] = {
    "TRUNCATE t": "truncate:E",
    "TRUNCATE t, big CASCADE": "truncate:E",
    "UPDATE t SET a = 1": "whole-table-update:E",
    "UPDATE t SET a = 1 WHERE true": "whole-table-update:E",
    "UPDATE t SET a = 1 WHERE 1 = 1": "whole-table-update:E",
    "UPDATE t SET a = 1 WHERE NOT false OR 1 > 2": "whole-table-update:E",
    "UPDATE t SET a = 1 WHERE id = 1": "",
    "UPDATE t SET a = 1 WHERE EXISTS (SELECT 1)": "",
    "DELETE FROM t": "whole-table-delete:E",
    "DELETE FROM t WHERE true": "whole-table-delete:E",
    "DELETE FROM t WHERE id < 3": "",
    "DELETE FROM t WHERE id = id": "whole-table-delete:E",
    "DELETE FROM t WHERE id = 1 OR true": "whole-table-delete:E",
    "DELETE FROM t WHERE id = 1 OR false": "",
    "DELETE FROM t WHERE id = a": "",
    "DELETE FROM t WHERE id <> id": "",
    "DELETE FROM t WHERE id <= id AND a IS NOT DISTINCT FROM a": "whole-table-delete:E",
    "DELETE FROM t WHERE id = id AND a = 1": "",
    "UPDATE t SET a = 1 WHERE a IS NULL OR a IS NOT NULL": "whole-table-update:E",
    "UPDATE t SET a = 1 WHERE a IS NULL OR id IS NOT NULL": "",
    "UPDATE t SET a = 1 WHERE a IS NULL AND a IS NOT NULL": "",
    "MERGE INTO t USING big ON true WHEN MATCHED THEN DELETE": "whole-table-delete:E",
    "MERGE INTO t USING big ON true WHEN MATCHED THEN UPDATE SET a = 1": "whole-table-update:E",
    "MERGE INTO t USING big ON true WHEN MATCHED AND t.a = 1 THEN DELETE": "",
    "MERGE INTO t USING big ON t.id = big.id WHEN MATCHED THEN DELETE": "",
    "MERGE INTO t USING big ON false WHEN NOT MATCHED THEN INSERT (a) VALUES (1)": "",
    "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone": "whole-table-delete:E",
    "EXPLAIN ANALYZE UPDATE t SET a = 1": "whole-table-update:E",
    "COPY (DELETE FROM t RETURNING *) TO STDOUT": "whole-table-delete:E",
    "INSERT INTO t (a) VALUES (1)": "",
    "LOCK TABLE t IN ACCESS EXCLUSIVE MODE": "lock-table:E",
    "VACUUM FULL t": "not-in-transaction:P vacuum-full:E",
    "VACUUM (FULL, ANALYZE) t": "not-in-transaction:P vacuum-full:E",
    "VACUUM (FULL off) t": "not-in-transaction:P",
    "VACUUM t": "not-in-transaction:P",
    "ANALYZE t": "",
    "CLUSTER t USING t_a": "cluster:E",
    "CLUSTER": "cluster:E not-in-transaction:P",
    "REFRESH MATERIALIZED VIEW m": "refresh-materialized-view:W",
    "REFRESH MATERIALIZED VIEW m WITH NO DATA": "",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m": "",
    "CREATE INDEX CONCURRENTLY i ON t (a)": "not-in-transaction:P",
    "CREATE INDEX i ON t (a)": "require-concurrent-index-creation:W",
    "CREATE UNIQUE INDEX i ON t (a)": "require-concurrent-index-creation:W",
    "DROP INDEX t_a": "require-concurrent-index-deletion:W",
    "DROP INDEX CONCURRENTLY t_a": "not-in-transaction:P",
    "REINDEX TABLE t": "require-concurrent-reindex:W",
    "REINDEX TABLE p": "reindex-partitioned:P require-concurrent-reindex:W",
    "REINDEX TABLE CONCURRENTLY t": "not-in-transaction:P",
    "REINDEX (CONCURRENTLY false) TABLE t": "",
    "REINDEX SCHEMA public": "not-in-transaction:P require-concurrent-reindex:W",
    "ALTER TABLE p DETACH PARTITION p1": "require-concurrent-partition-detach:W",
    "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY": "not-in-transaction:P",
    "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (1) TO (2)": (
        "attach-partition-without-check:W"
    ),
    "ALTER TABLE p2 ADD CONSTRAINT c CHECK (a = 1) NOT VALID; "
    "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (1) TO (2)": "",
    "ALTER TABLE t ADD COLUMN b bigserial": "adding-serial-column:E prefer-identity:I",
    "ALTER TABLE t ADD COLUMN b serial": (
        "adding-serial-column:E prefer-bigint-over-int:I prefer-identity:I"
    ),
    "ALTER TABLE t ADD COLUMN b bigint GENERATED ALWAYS AS IDENTITY": "adding-serial-column:E",
    "ALTER TABLE t ADD COLUMN b uuid DEFAULT gen_random_uuid()": "adding-volatile-default:E",
    "ALTER TABLE t ADD COLUMN b timestamptz DEFAULT clock_timestamp()": (
        "adding-volatile-default:E"
    ),
    "ALTER TABLE t ADD COLUMN b text DEFAULT own_function()": "adding-field-with-default:W",
    "ALTER TABLE t ADD COLUMN b timestamptz DEFAULT now()": "",
    "ALTER TABLE t ADD COLUMN b timestamptz NOT NULL DEFAULT now()": "",
    "ALTER TABLE t ADD COLUMN b bigint DEFAULT 1": "",
    "ALTER TABLE t ADD COLUMN b bigint NOT NULL": "adding-required-field:E",
    "ALTER TABLE t ADD COLUMN b bigint": "",
    "ALTER TABLE t ADD COLUMN b json": "prefer-jsonb:I",
    "ALTER TABLE t ADD COLUMN b bigint GENERATED ALWAYS AS (a + 1) STORED": (
        "adding-field-with-default:W"
    ),
    "ALTER TABLE t ADD COLUMN b bigint GENERATED ALWAYS AS (a + 1) VIRTUAL": "",
    "ALTER TABLE t ADD COLUMN b bigint GENERATED ALWAYS AS (a + 1) VIRTUAL, "
    "ADD COLUMN c bigint GENERATED ALWAYS AS (a + 1) STORED": "adding-field-with-default:W",
    "ALTER TABLE t SET LOGGED": "set-logged:W",
    "ALTER TABLE t SET UNLOGGED": "set-logged:W",
    "ALTER TABLE t SET TABLESPACE fast": "set-tablespace:W",
    "ALTER INDEX t_a SET TABLESPACE fast": "set-tablespace:W",
    "ALTER TABLE ALL IN TABLESPACE slow SET TABLESPACE fast": "set-tablespace:W",
    "ALTER TABLE t ADD PRIMARY KEY USING INDEX t_a": "primary-key-using-index:W",
    "ALTER TABLE t ADD PRIMARY KEY (a)": "adding-serial-primary-key-field:W",
    "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)": "disallowed-unique-constraint:W",
    "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX t_a": "",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)": "constraint-missing-not-valid:W",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID": "",
    "ALTER TABLE t VALIDATE CONSTRAINT c": "",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; "
    "ALTER TABLE t VALIDATE CONSTRAINT c": "constraint-missing-not-valid:W",
    "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES big (id)": (
        "adding-foreign-key-constraint:W"
    ),
    "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES big (id) NOT VALID": "",
    "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a), ADD CONSTRAINT c CHECK (a > 0)": (
        "constraint-missing-not-valid:W disallowed-unique-constraint:W"
    ),
    "ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING gist (a WITH =)": (
        "constraint-missing-not-valid:W"
    ),
    "CREATE TABLE child (t_id bigint REFERENCES t (id))": "references-locked-table:I",
    "ALTER TABLE t ALTER COLUMN a SET NOT NULL": "adding-not-nullable-field:W",
    "ALTER TABLE t ALTER COLUMN a DROP NOT NULL": "ban-drop-not-null:W",
    "ALTER TABLE t ALTER COLUMN a TYPE text": "changing-column-type:W",
    "ALTER TABLE t ALTER COLUMN v TYPE varchar(300)": "prefer-text-field:I",
    "ALTER TABLE t ALTER COLUMN v TYPE varchar(30)": ("changing-column-type:W prefer-text-field:I"),
    "ALTER TABLE t ALTER COLUMN v TYPE varchar(300) USING lower(v)": (
        "changing-column-type:W prefer-text-field:I"
    ),
    "ALTER TABLE t ALTER COLUMN v TYPE text": "",
    "ALTER TABLE t ALTER COLUMN w TYPE varchar": "",
    "ALTER TABLE t ALTER COLUMN w TYPE varchar(300)": (
        "changing-column-type:W prefer-text-field:I"
    ),
    "ALTER TABLE t ALTER COLUMN n TYPE numeric(10, 2)": "",
    "ALTER TABLE t ALTER COLUMN n TYPE numeric": "",
    "ALTER TABLE t ALTER COLUMN n TYPE numeric(10, 3)": "changing-column-type:W",
    "ALTER TABLE t ALTER COLUMN v TYPE text, ALTER COLUMN a TYPE text": "changing-column-type:W",
    "ALTER TABLE t ALTER COLUMN a SET DEFAULT 3": "",
    "ALTER TABLE t DROP COLUMN a": "ban-drop-column:W",
    "ALTER TABLE t RENAME COLUMN a TO b": "renaming-column:W",
    "ALTER TABLE t RENAME TO t2": "renaming-table:W",
    "ALTER TABLE t DISABLE TRIGGER ALL": "disable-trigger:W",
    "ALTER TABLE t DISABLE TRIGGER trg": "disable-trigger:W",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY": "",
    "DROP TABLE t": "ban-drop-table:W",
    "DROP TABLE IF EXISTS t CASCADE": "ban-drop-table:W",
    "DROP TRIGGER trg ON t": "drop-trigger:W",
    "DROP OWNED BY app": "drop-owned:E",
    "DROP SCHEMA public CASCADE": "ban-drop-schema:E",
    "DROP DATABASE other": "ban-drop-database:E not-in-transaction:P",
    "CREATE DATABASE other": "create-database:W not-in-transaction:P",
    "CREATE TABLESPACE fast LOCATION '/fast'": "create-database:W not-in-transaction:P",
    "CREATE TRIGGER trg BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()": "create-trigger:W",
    "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()": "event-trigger:W",
    "CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING": "create-rule:W",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'": (
        "security-definer-search-path:W"
    ),
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER "
    "SET search_path = pg_catalog AS 'SELECT 1'": "",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t'": "",
    "GRANT SELECT ON t TO public": "grant-to-public:W",
    "GRANT SELECT ON t TO app": "",
    "REVOKE SELECT ON t FROM public": "",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public": "grant-to-public:W",
    "ALTER ROLE app SUPERUSER": "superuser-role:W",
    "CREATE ROLE app SUPERUSER": "superuser-role:W",
    "ALTER ROLE app NOSUPERUSER": "",
    "ALTER SYSTEM SET work_mem = '1GB'": "alter-system:E not-in-transaction:P",
    "SET session_replication_role = replica": "session-replication-role:W",
    "SET session_replication_role = origin": "",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY": "read-only-transaction:P",
    "SET LOCAL transaction_read_only TO true": "read-only-transaction:P",
    "SET TRANSACTION READ WRITE": "",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": "",
    "SET lock_timeout = 0": "lock-timeout-off:W",
    "SET lock_timeout = '0s'": "lock-timeout-off:W",
    "SET lock_timeout TO DEFAULT": "lock-timeout-off:W",
    "SET lock_timeout = '2s'": "",
    "SELECT set_config('lock_timeout', '0', false)": "lock-timeout-off:W",
    "SELECT set_config('lock_timeout', '2s', false)": "",
    "SELECT pg_catalog.set_config('Session_Replication_Role'::text, 'replica', true)": (
        "session-replication-role:W"
    ),
    "INSERT INTO t (w) SELECT set_config('session_replication_role', 'local', true)": (
        "session-replication-role:W"
    ),
    "SELECT set_config('session_replication_role', 'origin', true)": "",
    "SELECT set_config('transaction_read_only', 'on', true)": "read-only-transaction:P",
    "SELECT set_config('default_transaction_read_only', 'on', false)": "",
    "SELECT set_config('search_path', w, true) FROM t": "",
    "ALTER ROLE app SET session_replication_role = replica": "alter-role-or-database-set:W",
    "ALTER ROLE ALL SET default_transaction_read_only = on": "alter-role-or-database-set:W",
    "ALTER DATABASE other SET standard_conforming_strings = off": "alter-role-or-database-set:W",
    "ALTER DATABASE other SET standard_conforming_strings TO DEFAULT": "",
    "ALTER DATABASE other SET standard_conforming_strings = on": "",
    "ALTER ROLE app SET search_path = app": "",
    "ALTER ROLE app RESET ALL": "",
    "SELECT pg_read_file('/etc/passwd')": "server-function:W",
    "INSERT INTO t (w) VALUES (encode(pg_read_binary_file('/etc/passwd'), 'base64'))": (
        "server-function:W"
    ),
    "SELECT lo_import('/etc/passwd')": "server-function:W",
    "SELECT lo_export(1, '/tmp/x')": "server-function:W",
    "SELECT pg_reload_conf(), pg_rotate_logfile()": "server-function:W",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity": "server-function:W",
    "SELECT pg_cancel_backend(1)": "server-function:W",
    "SELECT dblink_exec('', 'DROP TABLE t')": "server-function:W",
    "SELECT * FROM dblink('', 'SELECT 1') AS x (one int)": "server-function:W",
    "SELECT pg_sleep(3600)": "server-function:W",
    "SELECT pg_sleep(a) FROM t": "server-function:W",
    "SELECT pg_sleep_for('1 hour')": "server-function:W",
    "SELECT pg_sleep(0.1)": "",
    "SELECT pg_advisory_unlock(1)": "server-function:W",
    "DO $$ BEGIN PERFORM pg_terminate_backend(1); END $$": "do-block:I server-function:W",
    "UPDATE dbops.migration_runs SET result = 'done' WHERE id = 1": "changes-ledger:E",
    "INSERT INTO dbops.ledger_version VALUES (9)": "changes-ledger:E",
    "DELETE FROM dbops.migration_runs WHERE id = 1": "changes-ledger:E",
    "WITH gone AS (DELETE FROM dbops.migration_runs WHERE id = 1 RETURNING 1) "
    "SELECT * FROM gone": "changes-ledger:E",
    "MERGE INTO dbops.migration_runs r USING t ON r.id = t.id WHEN MATCHED THEN DELETE": (
        "changes-ledger:E"
    ),
    "SET search_path = dbops, public; UPDATE migration_runs SET result = '' WHERE id = 1": (
        "changes-ledger:E"
    ),
    "UPDATE migration_runs SET result = 'done' WHERE id = 1": "",
    "UPDATE dbops.other SET a = 1 WHERE id = 1": "",
    "SELECT * FROM dbops.migration_runs": "",
    "INSERT INTO t (w) SELECT name FROM dbops.migration_runs": "",
    "COPY dbops.migration_runs TO STDOUT": "",
    "COPY dbops.migration_runs FROM PROGRAM 'cat'": "changes-ledger:E copy-program:E",
    "TRUNCATE dbops.migration_runs": "changes-ledger:E truncate:E",
    "ALTER TABLE dbops.migration_runs DISABLE ROW LEVEL SECURITY": "changes-ledger:E",
    "ALTER TABLE dbops.migration_runs SET SCHEMA public": "ban-set-schema:W changes-ledger:E",
    "ALTER INDEX dbops.migration_runs_pkey RENAME TO x": "changes-ledger:E renaming-object:W",
    "CREATE TRIGGER trg BEFORE INSERT ON dbops.migration_runs "
    "FOR EACH ROW EXECUTE FUNCTION f()": "changes-ledger:E create-trigger:W",
    "CREATE RULE r AS ON INSERT TO dbops.migration_runs DO INSTEAD NOTHING": (
        "changes-ledger:E create-rule:W"
    ),
    "CREATE POLICY p ON dbops.migration_runs": "changes-ledger:E",
    "DROP VIEW dbops.migrations": "ban-drop-view:W changes-ledger:E",
    "DROP SCHEMA dbops": "ban-drop-schema:E changes-ledger:E",
    "ALTER SCHEMA dbops RENAME TO old": "changes-ledger:E renaming-object:W",
    "ALTER SCHEMA dbops OWNER TO app": "changes-ledger:E",
    "ALTER SCHEMA public OWNER TO app": "",
    "GRANT INSERT, SELECT ON dbops.migration_runs TO app": "changes-ledger:E",
    "GRANT ALL ON ALL TABLES IN SCHEMA dbops TO app": "changes-ledger:E",
    "GRANT SELECT ON ALL TABLES IN SCHEMA dbops TO app": "",
    "GRANT USAGE ON SCHEMA dbops TO app": "",
    "REVOKE ALL ON dbops.migration_runs FROM app": "",
    "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$": "do-block:I",
    "COPY t TO PROGRAM 'gzip > /tmp/x'": "copy-program:E",
    "COPY t FROM PROGRAM 'cat /etc/passwd'": "copy-program:E",
    "COPY t FROM STDIN": "copy-from-stdin:P",
    "COPY t TO STDOUT": "",
    "COPY t FROM '/tmp/x'": "copy-file:E",
    "COPY t TO '/tmp/x'": "copy-file:E",
    "BEGIN": "transaction-control:P",
    "START TRANSACTION": "transaction-control:P",
    "COMMIT": "transaction-control:P",
    "END": "transaction-control:P",
    "ROLLBACK": "transaction-control:P",
    "ABORT": "transaction-control:P",
    "SAVEPOINT s": "transaction-control:P",
    "RELEASE s": "transaction-control:P",
    "PREPARE TRANSACTION 'x'": "transaction-control:P",
    "COMMIT PREPARED 'x'": "not-in-transaction:P",
    "DISCARD ALL": "ends-session-state:P not-in-transaction:P",
    "DISCARD TEMP": "",
    "SELECT pg_advisory_unlock_all()": "ends-session-state:P",
    "CREATE TABLE n AS SELECT pg_catalog.pg_advisory_unlock_all()": "ends-session-state:P",
    "INSERT INTO t (a) SELECT 1 FROM pg_advisory_unlock_all()": "ends-session-state:P",
    "DO $$ BEGIN PERFORM PG_ADVISORY_UNLOCK_ALL(); END $$": "do-block:I ends-session-state:P",
    "ALTER DATABASE other SET TABLESPACE fast": "not-in-transaction:P",
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p": "not-in-transaction:P",
    "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (create_slot = false)": "",
    "ALTER TYPE mood ADD VALUE 'meh' AFTER 'sad'": "",
    "ALTER TYPE mood ADD VALUE 'meh'": "require-enum-value-ordering:I",
    "ALTER TYPE mood ADD VALUE 'meh' AFTER 'sad'; INSERT INTO t (w) VALUES ('meh')": (
        "enum-value-used:W"
    ),
    "CREATE TYPE mood AS ENUM ('sad'); ALTER TYPE mood ADD VALUE 'meh' AFTER 'sad'; "
    "INSERT INTO t (w) VALUES ('meh')": "",
    "CREATE TABLE n (id integer, c char(3), name varchar(10), at timestamp)": (
        "ban-char-field:I prefer-bigint-over-int:I prefer-text-field:I prefer-timestamp-tz:I"
    ),
    "CREATE TABLE n (id bigint PRIMARY KEY); CREATE INDEX ON n (id); UPDATE n SET id = 1; "
    "ALTER TABLE n ADD COLUMN b bigint NOT NULL; DROP TABLE n": "",
    "CREATE TABLE n AS SELECT * FROM t": "",
    "CREATE DOMAIN d AS text CHECK (value <> '')": "ban-create-domain-with-constraint:I",
    "ALTER DOMAIN d ADD CONSTRAINT c CHECK (value <> '')": (
        "ban-alter-domain-with-add-constraint:W"
    ),
    "CREATE EXTENSION pg_trgm": "",
    "DROP TABLE not_there": "",
    "ALTER TABLE t RENAME TO t2; ALTER TABLE t2 DROP COLUMN a": (
        "ban-drop-column:W renaming-table:W"
    ),
}

OUTSIDE: Final[dict[str, str]] = {
    "CREATE INDEX CONCURRENTLY i ON t (a)": "",
    "DROP INDEX CONCURRENTLY t_a": "",
    "REINDEX TABLE p": "require-concurrent-reindex:W",
    "VACUUM FULL t": "vacuum-full:E",
    "COMMIT": "transaction-control:P",
    "DISCARD ALL": "ends-session-state:P",
    "SET default_transaction_read_only = on": "read-only-transaction:P",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": "read-only-transaction:P",
    "SELECT set_config('default_transaction_read_only', 'on', false)": "read-only-transaction:P",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; "
    "ALTER TABLE t VALIDATE CONSTRAINT c": "",
    "ALTER TYPE mood ADD VALUE 'meh' AFTER 'sad'; INSERT INTO t (w) VALUES ('meh')": "",
}
