"""Histories of other migration tools as those tools write them, and the files that they ran.

dbmate 2.37.0, sqlx-cli 0.8.6, drizzle-orm 0.44.7 and ActiveRecord 6.1.7 ran their files on
PostgreSQL 18, and what `pg_dump --inserts` then said of their tables stands here. The other tables
have the columns and values that the source of the tool, and dumps of databases that it migrated,
show: Flyway's checksums and those of Prisma and Atlas were computed by their published algorithms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbopsd.migrate.versions.model.requests import Tool


@dataclass(frozen=True)
class RecordedHistory:
    """A tool's table, and a folder in its layout."""

    table: str
    """SQL that makes it, with its rows."""
    files: Mapping[str, str]
    layout: str
    """As the configuration names it."""
    source_table: str
    applied: tuple[str, ...]
    """The paths of what is applied."""

    def write(self, directory: Path) -> None:
        """Write the files, as they were when the tool ran them."""
        for path, text in self.files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(text.encode())


_CREATE: Final = "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);\n"
_DROP: Final = "DROP TABLE users;\n"
_NAME: Final = "ALTER TABLE users ADD COLUMN name text;\n"
_NO_NAME: Final = "ALTER TABLE users DROP COLUMN name;\n"

RECORDED: Final[Mapping[Tool, RecordedHistory]] = {
    Tool.DBMATE: RecordedHistory(
        """
        CREATE TABLE public.schema_migrations (version character varying NOT NULL);
        INSERT INTO public.schema_migrations VALUES ('20240101120000');
        INSERT INTO public.schema_migrations VALUES ('20240102120000');
        INSERT INTO public.schema_migrations VALUES ('20240103120000');
        ALTER TABLE ONLY public.schema_migrations
            ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);
        """,
        {
            "20240101120000_create_users.sql": (
                f"-- migrate:up\n{_CREATE}\n-- migrate:down\n{_DROP}"
            ),
            "20240102120000_users_email_unique.sql": (
                "-- migrate:up transaction:false\n"
                "CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);\n"
                "\n"
                "-- migrate:down\n"
                "DROP INDEX users_email_key;\n"
            ),
            "20240103120000_users_name.sql": f"-- migrate:up\n{_NAME}\n-- migrate:down\n{_NO_NAME}",
        },
        "dbmate",
        "public.schema_migrations",
        (
            "20240101120000_create_users.sql",
            "20240102120000_users_email_unique.sql",
            "20240103120000_users_name.sql",
        ),
    ),
    Tool.RAILS: RecordedHistory(
        """
        CREATE TABLE public.ar_internal_metadata (
            key character varying NOT NULL,
            value character varying,
            created_at timestamp(6) without time zone NOT NULL,
            updated_at timestamp(6) without time zone NOT NULL
        );
        CREATE TABLE public.schema_migrations (version character varying NOT NULL);
        INSERT INTO public.ar_internal_metadata VALUES
            ('environment', 'default_env',
             '2026-11-30 14:56:32.004233', '2026-11-30 14:56:32.004233');
        INSERT INTO public.schema_migrations VALUES ('20240101120000');
        INSERT INTO public.schema_migrations VALUES ('20240102120000');
        ALTER TABLE ONLY public.schema_migrations
            ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);
        """,
        {
            "20240101120000_create_users.sql": _CREATE,
            "20240101120000_create_users_rollback.sql": _DROP,
            "20240102120000_users_name.sql": _NAME,
            "20240102120000_users_name_rollback.sql": _NO_NAME,
        },
        "dbops",
        "public.schema_migrations",
        ("20240101120000_create_users.sql", "20240102120000_users_name.sql"),
    ),
    Tool.SQLX: RecordedHistory(
        r"""
        CREATE TABLE public._sqlx_migrations (
            version bigint NOT NULL,
            description text NOT NULL,
            installed_on timestamp with time zone DEFAULT now() NOT NULL,
            success boolean NOT NULL,
            checksum bytea NOT NULL,
            execution_time bigint NOT NULL
        );
        INSERT INTO public._sqlx_migrations VALUES (20240101120000, 'create users',
            '2026-11-30 14:56:30.497984+00', true,
            '\xccc07995a8744fe42f85efb99a0d7736df5e3baa5f20beee31d02ad6da00e37d3bdb02d7cde288119c9c34c829f63c74',
            1955146);
        INSERT INTO public._sqlx_migrations VALUES (20240102120000, 'users email unique',
            '2026-11-30 14:56:30.501217+00', true,
            '\x7d74e81499401df4ba257cfc4fb26deb711298ff923a98c315677bb5791875c7733d7c1d33a35e46335cacb8f72afa46',
            970881);
        INSERT INTO public._sqlx_migrations VALUES (20240103120000, 'users name',
            '2026-11-30 14:56:30.501601+00', true,
            '\xe72fe656d5d4cb3c0257b8cf59c7a343194df2a41d1af2fa622cac4ed5b6f3dea44fcde1e0dcec910dc6132aca17ffda',
            504866);
        ALTER TABLE ONLY public._sqlx_migrations
            ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);
        """,
        {
            "20240101120000_create_users.up.sql": _CREATE,
            "20240101120000_create_users.down.sql": _DROP,
            "20240102120000_users_email_unique.up.sql": (
                "-- no-transaction\n"
                "CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);\n"
            ),
            "20240102120000_users_email_unique.down.sql": "DROP INDEX users_email_key;\n",
            "20240103120000_users_name.up.sql": (
                "ALTER TABLE users ADD COLUMN name text; -- Größe\r\n"
            ),
            "20240103120000_users_name.down.sql": _NO_NAME,
        },
        "sqlx",
        "public._sqlx_migrations",
        (
            "20240101120000_create_users.up.sql",
            "20240102120000_users_email_unique.up.sql",
            "20240103120000_users_name.up.sql",
        ),
    ),
    Tool.DRIZZLE: RecordedHistory(
        """
        CREATE SCHEMA drizzle;
        CREATE TABLE drizzle.__drizzle_migrations (
            id integer NOT NULL,
            hash text NOT NULL,
            created_at bigint
        );
        INSERT INTO drizzle.__drizzle_migrations VALUES
            (1, '25a3620ed691996b92e0f8eef61d4a1be418e66bd253b5d80a41acde1aa31bbb', 1704110400000);
        INSERT INTO drizzle.__drizzle_migrations VALUES
            (2, '953f997a7fc4211bb01d3f3ce483e912ffa68512a7203afe7813c9d3b330458c', 1704196800000);
        ALTER TABLE ONLY drizzle.__drizzle_migrations
            ADD CONSTRAINT __drizzle_migrations_pkey PRIMARY KEY (id);
        """,
        {
            "0000_create_users.sql": (
                'CREATE TABLE "users" (\n\t"id" serial PRIMARY KEY NOT NULL,\n'
                '\t"email" text NOT NULL\n);\n'
            ),
            "0001_users_name.sql": (
                'ALTER TABLE "users" ADD COLUMN "name" text;--> statement-breakpoint\n'
                'CREATE UNIQUE INDEX "users_email_key" ON "users" USING btree ("email");\n'
            ),
            "meta/_journal.json": """{
  "version": "7",
  "dialect": "postgresql",
  "entries": [
    {"idx": 0, "version": "7", "when": 1704110400000, "tag": "0000_create_users",
     "breakpoints": true},
    {"idx": 1, "version": "7", "when": 1704196800000, "tag": "0001_users_name",
     "breakpoints": true}
  ]
}
""",
        },
        "drizzle",
        "drizzle.__drizzle_migrations",
        ("0000_create_users.sql", "0001_users_name.sql"),
    ),
    Tool.FLYWAY: RecordedHistory(
        """
        CREATE TABLE public.flyway_schema_history (
            installed_rank integer NOT NULL,
            version character varying(50),
            description character varying(200) NOT NULL,
            type character varying(20) NOT NULL,
            script character varying(1000) NOT NULL,
            checksum integer,
            installed_by character varying(100) NOT NULL,
            installed_on timestamp without time zone DEFAULT now() NOT NULL,
            execution_time integer NOT NULL,
            success boolean NOT NULL
        );
        ALTER TABLE public.flyway_schema_history
            ADD CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank);
        INSERT INTO public.flyway_schema_history VALUES
            (0, NULL, '<< Flyway Schema Creation >>', 'SCHEMA', '"app"', NULL, 'app',
             '2026-01-01', 0, true),
            (1, '1', 'create users', 'SQL', 'V1__create_users.sql', 996368910, 'app',
             '2026-01-01 12:00:00.25', 250, true),
            (2, '1.1', 'users name', 'SQL', 'V1_1__users_name.sql', 577072163, 'app',
             '2026-01-02 12:00:00', 5, true),
            (3, NULL, 'user names', 'SQL', 'R__user_names.sql', 1, 'app',
             '2026-01-02 12:00:01', 5, true),
            (4, NULL, 'user names', 'SQL', 'R__user_names.sql', 1307809385, 'app',
             '2026-01-03 12:00:00', 5, true);
        """,
        {
            "V1__create_users.sql": _CREATE,
            "V1_1__users_name.sql": _NAME,
            "U1_1__users_name.sql": _NO_NAME,
            "R__user_names.sql": (
                "CREATE OR REPLACE VIEW user_names AS SELECT id, name FROM users;\n"
            ),
        },
        "flyway",
        "public.flyway_schema_history",
        ("V1__create_users.sql", "V1_1__users_name.sql", "R__user_names.sql"),
    ),
    Tool.GOLANG_MIGRATE: RecordedHistory(
        """
        CREATE TABLE public.schema_migrations (
            version bigint not null primary key,
            dirty boolean not null
        );
        INSERT INTO public.schema_migrations (version, dirty) VALUES (2, false);
        """,
        {
            "000001_create_users.up.sql": _CREATE,
            "000001_create_users.down.sql": _DROP,
            "000002_users_name.up.sql": _NAME,
            "000002_users_name.down.sql": _NO_NAME,
            "000003_users_age.up.sql": "ALTER TABLE users ADD COLUMN age int;\n",
            "000003_users_age.down.sql": "ALTER TABLE users DROP COLUMN age;\n",
        },
        "golang-migrate",
        "public.schema_migrations",
        ("000001_create_users.up.sql", "000002_users_name.up.sql"),
    ),
    Tool.GOOSE: RecordedHistory(
        """
        CREATE TABLE goose_db_version (
            id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
            version_id bigint NOT NULL,
            is_applied boolean NOT NULL,
            tstamp timestamp NOT NULL DEFAULT now()
        );
        INSERT INTO goose_db_version (version_id, is_applied) VALUES
            (0, true), (1, true), (2, true), (3, true), (3, false), (2, false), (2, true);
        """,
        {
            "00001_create_users.sql": f"-- +goose Up\n{_CREATE}\n-- +goose Down\n{_DROP}",
            "00002_users_name.sql": f"-- +goose Up\n{_NAME}\n-- +goose Down\n{_NO_NAME}",
            "00003_users_age.sql": "-- +goose Up\nALTER TABLE users ADD COLUMN age int;\n",
        },
        "goose",
        "public.goose_db_version",
        ("00001_create_users.sql", "00002_users_name.sql"),
    ),
    Tool.PRISMA: RecordedHistory(
        """
        CREATE TABLE public._prisma_migrations (
            id character varying(36) NOT NULL PRIMARY KEY,
            checksum character varying(64) NOT NULL,
            finished_at timestamp with time zone,
            migration_name character varying(255) NOT NULL,
            logs text,
            rolled_back_at timestamp with time zone,
            started_at timestamp with time zone DEFAULT now() NOT NULL,
            applied_steps_count integer DEFAULT 0 NOT NULL
        );
        INSERT INTO public._prisma_migrations VALUES
            ('5b1c3a52-0d0b-4a53-8a55-1c7fcb0f7a01',
             '6df43129dbfd64f7a09e715fcd7ff7ef15744aed20d7947b9e43c95eed3f2ad1',
             '2026-01-01 12:00:00.05+00', '20240101120000_create_users', NULL, NULL,
             '2026-01-01 12:00:00+00', 1),
            ('5b1c3a52-0d0b-4a53-8a55-1c7fcb0f7a02',
             '2d3109e4635a83756c65b154aa8f1e5c6ccd7c2ff4ec631c89943d9dd5cd9b24',
             NULL, '20240102120000_users_name', 'A migration failed to apply.',
             '2026-01-02 12:30:00+00', '2026-01-02 12:00:00+00', 0),
            ('5b1c3a52-0d0b-4a53-8a55-1c7fcb0f7a03',
             '2d3109e4635a83756c65b154aa8f1e5c6ccd7c2ff4ec631c89943d9dd5cd9b24',
             '2026-01-02 13:00:00.05+00', '20240102120000_users_name', NULL, NULL,
             '2026-01-02 13:00:00+00', 1);
        """,
        {
            "migration_lock.toml": 'provider = "postgresql"\n',
            "20240101120000_create_users/migration.sql": _CREATE,
            "20240102120000_users_name/migration.sql": _NAME,
        },
        "prisma",
        "public._prisma_migrations",
        (
            "20240101120000_create_users/migration.sql",
            "20240102120000_users_name/migration.sql",
        ),
    ),
    Tool.ATLAS: RecordedHistory(
        """
        CREATE SCHEMA atlas_schema_revisions;
        CREATE TABLE atlas_schema_revisions.atlas_schema_revisions (
            version character varying NOT NULL PRIMARY KEY,
            description character varying NOT NULL,
            type bigint DEFAULT 2 NOT NULL,
            applied bigint DEFAULT 0 NOT NULL,
            total bigint DEFAULT 0 NOT NULL,
            executed_at timestamp with time zone NOT NULL,
            execution_time bigint NOT NULL,
            error text,
            error_stmt text,
            hash character varying NOT NULL,
            partial_hashes jsonb,
            operator_version character varying NOT NULL
        );
        INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES
            ('.atlas_cloud_identifier', '5b1c3a52', 2, 0, 0, '2026-01-01', 0, NULL, NULL,
             '', NULL, ''),
            ('20240101120000', 'create_users', 2, 1, 1, '2026-01-01 12:00:00+00', 1500000,
             NULL, NULL,
             'uDL+bN+WxMx1A/zBCMA3OWofqp2oX9ytLQ+UchDI9uM=', NULL, 'Atlas CLI v0.32.0'),
            ('20240102120000', 'users_name', 2, 1, 1, '2026-01-02 12:00:00+00', 1500000,
             NULL, NULL,
             'Zd45fgpg6qLu5lNLkJrGyQ9+gutVs9L0rVxkfgvwvmc=', NULL, 'Atlas CLI v0.32.0');
        """,
        {
            "20240101120000_create_users.sql": _CREATE,
            "20240102120000_users_name.sql": _NAME,
        },
        "sqlx",
        "atlas_schema_revisions.atlas_schema_revisions",
        ("20240101120000_create_users.sql", "20240102120000_users_name.sql"),
    ),
    Tool.DIESEL: RecordedHistory(
        """
        CREATE TABLE __diesel_schema_migrations (
            version VARCHAR(50) PRIMARY KEY NOT NULL,
            run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
        );
        INSERT INTO __diesel_schema_migrations VALUES
            ('00000000000000', '2026-01-01 12:00:00'),
            ('20240101120000', '2026-01-01 12:00:01'),
            ('20240102120000', '2026-01-02 12:00:00');
        """,
        {
            "2024-01-01-120000_create_users/up.sql": _CREATE,
            "2024-01-01-120000_create_users/down.sql": _DROP,
            "20240102120000_users_name/up.sql": _NAME,
            "20240102120000_users_name/down.sql": _NO_NAME,
        },
        "diesel",
        "public.__diesel_schema_migrations",
        ("2024-01-01-120000_create_users/up.sql", "20240102120000_users_name/up.sql"),
    ),
}
