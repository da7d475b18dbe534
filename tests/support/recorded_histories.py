"""Histories of other migration tools as those tools write them, and the files that they ran.

dbmate 2.37.0, sqlx-cli 0.8.6, drizzle-orm 0.44.7 and ActiveRecord 6.1.7 ran their files on
PostgreSQL 18, and what `pg_dump --inserts` then said of their tables stands here; longer runs, with
failures among them, are in `tool_runs/`. The tables of Flyway, golang-migrate and goose
have the columns and values that the source of the tool, and dumps of databases that it migrated,
show: Flyway's checksums were computed by its published algorithm.
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
    """The paths of what is applied, in the order of the table."""
    mismatched: tuple[str, ...] = ()
    """The paths of what was changed since."""
    failed: tuple[str, ...] = ()
    """The paths of what failed, or was not finished."""
    unknown: tuple[str, ...] = ()
    """The versions of what was removed since."""

    def write(self, directory: Path) -> None:
        """Write the files, as they were when the tool ran them."""
        for path, text in self.files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(text.encode())


_RUNS: Final = Path(__file__).parent / "tool_runs"


def _run(name: str, layout: str, source_table: str, **outcome: tuple[str, ...]) -> RecordedHistory:
    """The run of a tool that `tool_runs/` has."""
    migrations = _RUNS / name / "migrations"
    files = {
        str(path.relative_to(migrations)): path.read_bytes().decode()
        for path in migrations.rglob("*")
        if path.is_file()
    }
    table = (_RUNS / name / "history.sql").read_text()
    return RecordedHistory(table, files, layout, source_table, **outcome)


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
    Tool.PRISMA: _run(
        "prisma",
        "prisma",
        "public._prisma_migrations",
        applied=(
            "20240101120000_create_users/migration.sql",
            "20240102120000_users_name/migration.sql",
            "20240103120000_users_email_key/migration.sql",
            "20240102150000_between/migration.sql",
            "20240107120000_by_hand/migration.sql",
        ),
        mismatched=("20240104120000_users_age/migration.sql",),
        failed=("20240108120000_broken/migration.sql",),
        unknown=("20240105120000_users_city", "20240107130000_bom"),
    ),
    Tool.ATLAS: _run(
        "atlas",
        "dbops",
        "atlas_schema_revisions.atlas_schema_revisions",
        applied=(
            "20240101120000_create_users.sql",
            "20240102120000_users_name.sql",
            "20240103120000_email_key.sql",
            "20240104120000.sql",
            "20240105120000_broken.sql",
            "20240106120000_later.sql",
        ),
        mismatched=("20240107120000_changed.sql",),
        failed=("20240108120000_half.sql",),
    ),
    Tool.DIESEL: _run(
        "diesel",
        "diesel",
        "public.__diesel_schema_migrations",
        applied=(
            "00000000000000_diesel_initial_setup/up.sql",
            "2024-01-01-120000_create_users/up.sql",
            "20240102120000_users_name/up.sql",
            "2024-01-03-120000-0000_email_key/up.sql",
            "20240104120000_users_age/up.sql",
            "20240103000000_between/up.sql",
        ),
        unknown=("20240101000000",),
    ),
}

DRIZZLE_1_0: Final = _run(
    "drizzle_1_0",
    "drizzle",
    "drizzle.__drizzle_migrations",
    applied=(
        "20261130184055_create_users/migration.sql",
        "20261130184113_users_name/migration.sql",
        "20261130184200_users_city/migration.sql",
        "20261130184130_between/migration.sql",
    ),
    mismatched=("20261130184300_users_zip/migration.sql",),
    unknown=("20261130184400_users_old",),
)

ALL: Final[Mapping[str, tuple[Tool, RecordedHistory]]] = {
    **{tool.value: (tool, recorded) for tool, recorded in RECORDED.items()},
    "drizzle 1.0": (Tool.DRIZZLE, DRIZZLE_1_0),
}
