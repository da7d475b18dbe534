"""Backups and the WAL archive for people."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC

from dbops.v1 import backup_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group, RenderableType
from rich.text import Text

from dbops_client._names import backup_id
from dbops_client.cli.result_views import result_view
from dbops_client.cli.tables import cell, facts, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import count, duration, size

_Backup = backup_pb2.Backup
_WalStatus = backup_pb2.WalStatus

_NUMBERS = frozenset({"SIZE", "STORED", "TOOK", "TIMELINE", "MISSING"})
_STATE_STYLES = {
    _Backup.COMPLETE: "green",
    _Backup.EXPIRED: "yellow",
    _Backup.BROKEN: "bold red",
}
_WAL_STYLES = {
    _WalStatus.STREAMING: "green",
    _WalStatus.ARCHIVING: "green",
    _WalStatus.STOPPED: "bold red",
    _WalStatus.SLOT_LOST: "bold red",
    _WalStatus.OFF: "yellow",
}
# More objects than this nobody reads on a screen. --output json has all of them.
_MAX_SHOWN = 20


def time_of(time: Timestamp, *, precise: bool = False) -> str:
    """Return a time of the server in local time, to the second or to the microsecond."""
    moment = time.ToDatetime(tzinfo=UTC).astimezone()
    return moment.isoformat(sep=" ", timespec="microseconds" if precise else "seconds")


def backup_table(backups: Iterable[_Backup]) -> RenderableType:
    """Return a table of the backups, or a line if there are none."""
    table = new_table(
        *("BACKUP", "KIND", "STATE", "STARTED", "TOOK", "SIZE", "STORED", "VERIFIED", "DRILL"),
        "NOTE",
        numbers=_NUMBERS,
    )
    for backup in backups:
        table.add_row(
            cell(backup_id(backup.name)),
            cell(_kind(backup)),
            _state(backup),
            cell(_time(backup, "start_time")),
            cell(_took(backup)),
            cell(size(backup.size_bytes)),
            cell(size(backup.stored_bytes)),
            cell(_time(backup, "last_verified")),
            _drill(backup),
            cell(_note(backup)),
        )
    return table if table.row_count else Text("There are no such backups.")


@result_view(_Backup)
def backup_view(backup: _Backup) -> RenderableType:
    """Return what is known about a backup: a line for each fact."""
    counted = f"{count(backup.rows_counted)} in {count(backup.tables_counted)} tables"
    return facts(
        {
            "Backup": backup.name,
            "Kind": _kind(backup),
            "State": _state(backup),
            "Problem": backup.problem,
            "Full because": backup.fallback,
            "Rests on": backup_id(backup.parent),
            "Label": backup.label,
            "Held until": _time(backup, "held_until"),
            "Expires": _time(backup, "expire_time"),
            "Expires because": backup.expire_reason,
            "Server": f"PostgreSQL {backup.server_version}" if backup.server_version else "",
            "Taken from": backup.source,
            "System identifier": backup.system_identifier,
            "Timeline": str(backup.timeline or ""),
            "WAL": f"{backup.start_lsn} to {backup.stop_lsn}" if backup.start_lsn else "",
            "Started": _time(backup, "start_time"),
            "Took": _took(backup),
            "Size": size(backup.size_bytes),
            "Stored": _stored(backup),
            "Codec": backup.codec,
            "Key": backup.key_id or "none: it is not encrypted",
            "PostgreSQL database": backup.dbname,
            "Tables": ", ".join(backup.tables),
            "Holds": "the schema alone, no rows" if backup.schema_only else "",
            "Rows counted": counted if backup.tables_counted else "",
            "Last verified": _time(backup, "last_verified"),
            "Last drill": _drill(backup),
        }
    )


def backup_with_objects(backup: _Backup) -> RenderableType:
    """Return the view of a backup, and its objects."""
    view = backup_view(backup)
    if not backup.objects:
        return view
    objects = new_table("OBJECT", "STORED", "SHA-256", numbers=_NUMBERS)
    for each in backup.objects[:_MAX_SHOWN]:
        objects.add_row(cell(each.path), cell(size(each.stored_bytes)), cell(each.sha256))
    return Group(view, Text(), objects, *_rest(len(backup.objects)))


def _problem_of_verification(response: backup_pb2.VerifyBackupsResponse) -> str | None:
    if response.ok:
        return None
    damaged = sum(not each.ok for each in response.backups)
    return f"found {_plural(damaged, 'damaged backup')}, and {_wal_findings(response.wal)}"


@result_view(backup_pb2.VerifyBackupsResponse, _problem_of_verification)
def verification_view(response: backup_pb2.VerifyBackupsResponse) -> RenderableType:
    """Return the view of a verification: each backup, and everything that is wrong."""
    headline = ("OK", "green") if response.ok else ("NOT OK", "bold red")
    wal = response.wal
    summary = (
        f"  {_plural(len(response.backups), 'backup')}, "
        f"{_plural(wal.segments, 'WAL segment')}, {_wal_findings(wal)}"
    )
    blocks: list[RenderableType] = [Text.assemble(headline, summary)]
    if response.backups:
        table = new_table("BACKUP", "OK", "PROBLEMS", numbers=_NUMBERS)
        for each in response.backups:
            found = str(len(each.problems)) if each.problems else "-"
            table.add_row(cell(backup_id(each.name)), verdict(each.ok), cell(found))
        blocks += [Text(), table]
    problems = [problem for each in response.backups for problem in each.problems]
    blocks += _problems([*problems, *wal.problems])
    blocks += gap_table(wal.gaps)
    return Group(*blocks)


@result_view(backup_pb2.DeleteBackupResponse)
def deletion_view(response: backup_pb2.DeleteBackupResponse) -> RenderableType:
    """Return the names of the deleted backups."""
    done = "Would delete" if response.dry_run else "Deleted"
    names = [Text(f"  {plain(backup_id(name))}") for name in response.deleted]
    return Group(Text(f"{done} {_plural(len(response.deleted), 'backup')}:"), *names)


@result_view(backup_pb2.ApplyRetentionResponse)
def retention_view(response: backup_pb2.ApplyRetentionResponse) -> RenderableType:
    """Return the view of retention: the backups that go, and why the others stay."""
    would = "would be " if response.dry_run else ""
    table = new_table("BACKUP", "FATE", "WHEN", "WHY", numbers=_NUMBERS)
    for gone in response.expired:
        fate = f"{would}deleted" if gone.deleted else f"{would}expired"
        table.add_row(
            cell(backup_id(gone.name)),
            Text(fate, style="yellow"),
            cell(_time(gone, "expire_time")),
            cell(gone.reason),
        )
    for kept in response.kept:
        why = cell("; ".join(kept.reasons))
        table.add_row(cell(backup_id(kept.name)), Text("kept", style="green"), cell("-"), why)
    line = (
        f"{_plural(response.wal_deleted, 'WAL segment')} and "
        f"{_plural(response.orphans_deleted, 'orphaned object')} {would or 'were '}deleted"
    )
    return Group(table, Text(), Text(line)) if table.row_count else Text(line)


@result_view(backup_pb2.RotateKeysResponse)
def rotation_view(response: backup_pb2.RotateKeysResponse) -> RenderableType:
    """Return how many data keys were wrapped anew."""
    keys = _plural(response.rewrapped, "data key")
    return Text(plain(f"{keys} wrapped anew; all are wrapped by '{response.key_id}' now"))


def wal_status_view(found: _WalStatus) -> RenderableType:
    """Return how far the WAL archive is, a line for each fact."""
    known = found.state in _WalStatus.State.values()
    name = _WalStatus.State.Name(found.state) if known else f"STATE_{found.state}"
    lag = size(found.lag_bytes) if found.HasField("lag_bytes") else ""
    if found.HasField("lag_seconds"):
        lag = ", ".join(part for part in (lag, duration(found.lag_seconds)) if part)
    return facts(
        {
            "State": Text(name, style=_WAL_STYLES.get(found.state, "")),
            "Problem": found.problem,
            "Slot": found.slot,
            "Timeline": str(found.timeline or ""),
            "Received": found.received_lsn,
            "Archived": found.archived_lsn,
            "Last stored": _time(found, "archived_time"),
            "Behind": lag,
            "Spool": size(found.spool_bytes) if found.HasField("spool_bytes") else "",
        }
    )


def gap_table(gaps: Sequence[backup_pb2.WalGap]) -> list[RenderableType]:
    """Return a table of the gaps in the WAL archive; nothing if there are none."""
    if not gaps:
        return []
    table = new_table("TIMELINE", "FROM", "TO", "MISSING", "FOUND", "CAUSE", numbers=_NUMBERS)
    for gap in gaps:
        table.add_row(
            cell(str(gap.timeline)),
            cell(gap.start_lsn),
            cell(gap.end_lsn),
            cell(_distance(gap.start_lsn, gap.end_lsn)),
            cell(_time(gap, "detect_time")),
            cell(gap.cause or "not known"),
        )
    return [Text(), Text("Gaps in the WAL archive:", style="bold red"), table]


def _problems(problems: Sequence[backup_pb2.BackupProblem]) -> list[RenderableType]:
    if not problems:
        return []
    table = new_table("OBJECT", "PROBLEM", "DETAIL", numbers=_NUMBERS, fold=True)
    for each in problems[:_MAX_SHOWN]:
        table.add_row(cell(each.object), Text(plain(each.problem), style="red"), cell(each.detail))
    return [Text(), table, *_rest(len(problems))]


def _rest(total: int) -> Iterator[Text]:
    if total > _MAX_SHOWN:
        yield Text(f"… and {count(total - _MAX_SHOWN)} more, which --output json names")


def _state(backup: _Backup) -> Text:
    known = backup.state in _Backup.State.values()
    name = _Backup.State.Name(backup.state) if known else f"STATE_{backup.state}"
    return Text(name, style=_STATE_STYLES.get(backup.state, ""))


def _kind(backup: _Backup) -> str:
    known = backup.kind in _Backup.Kind.values() and backup.kind
    return _Backup.Kind.Name(backup.kind).lower() if known else "-"


def _drill(backup: _Backup) -> Text:
    if not backup.HasField("last_drill"):
        return Text("-")
    text = time_of(backup.last_drill)
    return Text(text) if backup.last_drill_ok else Text(f"FAILED {text}", style="bold red")


def _note(backup: _Backup) -> str:
    """Return what else is worth a word about a backup."""
    parts = [
        backup.problem,
        f"expires {_time(backup, 'expire_time')}" if backup.HasField("expire_time") else "",
        f"held until {_time(backup, 'held_until')}" if backup.HasField("held_until") else "",
        f"rests on {backup_id(backup.parent)}" if backup.parent else "",
        f"of database {backup.dbname}" if backup.dbname else "",
        f"full because {backup.fallback}" if backup.fallback else "",
        "schema only, no rows" if backup.schema_only else "",
        backup.label,
    ]
    return "; ".join(part for part in parts if part) or "-"


def _took(backup: _Backup) -> str:
    if not (backup.HasField("start_time") and backup.HasField("stop_time")):
        return "-"
    took = backup.stop_time.ToDatetime() - backup.start_time.ToDatetime()
    return duration(max(0.0, took.total_seconds()))


def _stored(backup: _Backup) -> str:
    ratio = backup.size_bytes / backup.stored_bytes if backup.stored_bytes else 0.0
    stored = size(backup.stored_bytes)
    return f"{stored}, 1/{ratio:.3g} of its size" if ratio > 1 else stored


def _time(
    message: _Backup | _WalStatus | backup_pb2.WalGap | backup_pb2.ExpiredBackup, field: str
) -> str:
    if not message.HasField(field):  # type: ignore[arg-type]  # one of the message's own
        return "-"
    return time_of(getattr(message, field))


def verdict(ok: bool) -> Text:
    """Return whether something is in order, to be seen at a glance."""
    return Text("yes", style="green") if ok else Text("NO", style="bold red")


def _wal_findings(wal: backup_pb2.VerifiedWal) -> str:
    damaged = f", {_plural(len(wal.problems), 'damaged object')}" if wal.problems else ""
    return f"{_plural(len(wal.gaps), 'gap')} in the WAL{damaged}"


def _distance(start: str, end: str) -> str:
    """Return how many bytes of WAL are between two LSNs."""
    try:
        first, last = (
            (int(high, 16) << 32) + int(low, 16)
            for high, low in (lsn.split("/") for lsn in (start, end))
        )
    except ValueError:
        return "-"
    return size(last - first)


def _plural(number: int, noun: str) -> str:
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"
