"""The settings of a restored cluster: how it recovers, and what it must not inherit.

A backup brings the settings of the server that it was taken from: to follow a primary, to archive,
to recover to a moment of long ago. `postgresql.auto.conf` is read last, so what is set there holds.
"""

import re
from pathlib import Path
from typing import Final

from dbopsd.backup.model.requests import TargetAction
from dbopsd.backup.restore.target_search import Stop
from dbopsd.db.server.settings import Settings, render

AUTO_FILE: Final = "postgresql.auto.conf"
MAIN_FILE: Final = "postgresql.conf"

_OURS: Final = "# Written by dbopsd to recover this cluster."
# Every one is set, be it to nothing: postgresql.conf may have it, too.
_NEUTRAL: Final[Settings] = {
    "primary_conninfo": "",
    "primary_slot_name": "",
    "promote_trigger_file": "",
    "recovery_target": "",
    "recovery_target_lsn": "",
    "recovery_target_name": "",
    "recovery_target_time": "",
    "recovery_target_xid": "",
    "recovery_target_inclusive": True,
    "recovery_min_apply_delay": 0,
    "recovery_end_command": "",
    "archive_cleanup_command": "",
    "archive_mode": False,
    "archive_command": "",
    "archive_library": "",
    "synchronous_standby_names": "",
    # All WAL that is needed is there already. PostgreSQL wants a command nevertheless.
    "restore_command": "false",
}
_GONE_AFTER: Final = {"promote_trigger_file": 15}
_ASSIGNMENT: Final = re.compile(r"\s*(?P<name>[A-Za-z_][\w.]*)\s*(?:=|\s)")
# Where the live server keeps things, in absolute paths; a restored one has its own.
_PLACES: Final[Settings] = {
    "data_directory": "",
    "hba_file": "pg_hba.conf",
    "ident_file": "pg_ident.conf",
    "external_pid_file": "",
}
# What recovery needs at least as much of as the server had, by the names in pg_controldata.
_AT_LEAST: Final = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
# A drill has one session at a time, and two of pg_amcheck.
_SCRATCH_CONNECTIONS: Final = 20
_RESERVES_FROM: Final = 16
_SCRATCH: Final[Settings] = {
    "shared_buffers": "256MB",
    # Its own host may have set none aside.
    "huge_pages": "off",
    "wal_buffers": -1,
    "min_dynamic_shared_memory": 0,
    "max_pred_locks_per_transaction": 10,
    "superuser_reserved_connections": 3,
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "autovacuum_work_mem": -1,
}
_LOCAL_ONLY: Final = "local all all peer\n"


def recovery_settings(
    major: int, timeline: str, stop: Stop, action: TargetAction, comment: str
) -> str:
    """The part of `postgresql.auto.conf` that is ours. `timeline`: a number, or `current`."""
    settings: dict[str, str | int | bool] = {
        name: value for name, value in _NEUTRAL.items() if major <= _GONE_AFTER.get(name, major)
    }
    settings["recovery_target_timeline"] = timeline
    settings["recovery_target_action"] = action.value.lower()
    # The target comes last: PostgreSQL refuses to unset one after another was set.
    if stop.immediate:
        settings.pop("recovery_target")
        settings["recovery_target"] = "immediate"
    elif stop.record is not None:
        settings["recovery_target_inclusive"] = stop.inclusive
        settings.pop("recovery_target_lsn")
        settings["recovery_target_lsn"] = str(stop.record.lsn)
    lines = [
        _OURS,
        f"# {comment}",
        "# It archives nowhere: remove archive_mode and archive_command",
    ]
    return "\n".join(lines) + "\n# below once it is to.\n" + render(settings)


def with_recovery(inherited: str, ours: str) -> str:
    """`postgresql.auto.conf` without what must not be inherited, or was ours before, and `ours`."""
    kept = []
    for line in inherited.partition(_OURS)[0].splitlines():
        found = _ASSIGNMENT.match(line)
        if found is None or found["name"].lower() not in (*_NEUTRAL, *_TARGET_SETTINGS):
            kept.append(line)
    return "".join(f"{line}\n" for line in kept) + ours


_TARGET_SETTINGS: Final = ("recovery_target_timeline", "recovery_target_action")


def main_settings(text: str | None, directory: Path, control: str) -> str | None:
    """`postgresql.conf` with the places of the restored cluster; None if it is right as it is.

    `text` None: the cluster had it outside of its data directory. What recovery depends on is then
    taken from `control`, what `pg_controldata` says.
    """
    if text is None:
        needed = least_settings(control)
        return f"# The cluster had its settings elsewhere; recovery needs these.\n{render(needed)}"
    set_there = {
        found["name"].lower()
        for line in text.splitlines()
        if (found := _ASSIGNMENT.match(line)) is not None
    }
    ours: Settings = {
        name: str(directory / str(file)) if file or name == "data_directory" else ""
        for name, file in _PLACES.items()
        if name in set_there
    }
    if not ours:
        return None
    return f"{text}\n# The places of the restored cluster.\n{render(ours)}"


def least_settings(control: str) -> dict[str, str]:
    """What a hot standby needs at least as much of, from what `pg_controldata` says."""
    return {
        setting: line.partition(":")[2].strip()
        for line in control.splitlines()
        for name, setting in _AT_LEAST.items()
        if line.startswith(f"{name}:")
    }


def scratch_settings(major: int, control: str, action: TargetAction) -> Settings:
    """The memory of a server for one drill, however much the live server has on its own host.

    `control`: what `pg_controldata` says. Only a hot standby needs the live server's slots for
    connections; locks and prepared transactions come with the WAL.
    """
    settings: dict[str, str | int | bool] = {**_SCRATCH, **least_settings(control)}
    if major >= _RESERVES_FROM:
        settings["reserved_connections"] = 0
    if action is TargetAction.PROMOTE:
        settings["max_connections"] = _SCRATCH_CONNECTIONS
    return settings


def missing_access_file(data: Path) -> str | None:
    """What `pg_hba.conf` gets where the cluster had it elsewhere; None where it is there."""
    return None if (data / "pg_hba.conf").exists() else _LOCAL_ONLY
