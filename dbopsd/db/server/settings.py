"""A server's settings as files and arguments."""

from collections.abc import Mapping

# What the setting values may be; numbers are in the setting's own unit.
Settings = Mapping[str, str | int | bool]

SETTINGS_FILE = "dbopsd.conf"
INCLUDE_LINE = f"include_if_exists = '{SETTINGS_FILE}'\n"

# A socket's path must fit sockaddr_un.sun_path with its final NUL (108 bytes).
_MAX_SOCKET_PATH_BYTES = 107

# WAL summaries, which an incremental backup is made from, came with 17.
_WAL_SUMMARIES_MAJOR = 17

_EMBEDDED: Settings = {
    "max_connections": 100,
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": True,
    # What a physical backup, a WAL receiver and a standby need.
    "wal_level": "replica",
    "max_wal_senders": 10,
    "max_replication_slots": 10,
    "hot_standby": True,
    # Without a limit a slot that nobody reads from any more fills the disk.
    "max_slot_wal_keep_size": "16GB",
    # archive_mode changes only by a restart, archive_command by a reload. An empty command would
    # keep every segment until there is one; this one lets each go.
    "archive_mode": "on",
    "archive_command": "true",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "log_lock_waits": True,
}


def embedded_settings(major: int) -> Settings:
    """The settings of the embedded server, for its major version."""
    if major < _WAL_SUMMARIES_MAJOR:
        return _EMBEDDED
    return {**_EMBEDDED, "summarize_wal": True}


def render(settings: Settings) -> str:
    """The settings as a configuration file's lines."""
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def arguments(settings: Settings) -> list[str]:
    """The settings as arguments of `postgres`; these win over every file and ALTER SYSTEM."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={_text(value)}")]


def socket_directories(directory: str, port: int) -> str:
    """`unix_socket_directories`: the directory, or none if the socket's path would be too long."""
    path = f"{directory}/.s.PGSQL.{port}"
    if len(path.encode()) > _MAX_SOCKET_PATH_BYTES or "," in directory or '"' in directory:
        return ""
    return f'"{directory}"' if " " in directory else directory


def conninfo(**parameters: str | int) -> str:
    """A libpq connection string with every value quoted."""
    return " ".join(
        "{}='{}'".format(name, str(value).replace("\\", "\\\\").replace("'", "\\'"))
        for name, value in parameters.items()
    )


def _text(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _quoted(value: str | int | bool) -> str:
    return "'{}'".format(_text(value).replace("\\", "\\\\").replace("'", "''"))
