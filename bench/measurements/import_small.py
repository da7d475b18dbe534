"""A small file, whole, by the command: what an import costs before there are rows to copy."""

import sqlite3
from contextlib import closing
from statistics import median

from bench.imports import importing_daemon, run_import
from bench.measurement import Measurement, Row, at_most
from bench.pgloader import NOT_COMPARED, pgloader_s, pgloader_version
from bench.workbench import Workbench

_SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, born DATE);
CREATE TABLE notes (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, text TEXT);
CREATE INDEX notes_by_user ON notes (user_id);
"""
_USERS, _NOTES = 50, 200
_WHOLE_BOUND_S = 1.0


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True)
    files = bench.directory("files")
    source = files / "small.db"
    with closing(sqlite3.connect(source)) as connection, connection:
        connection.executescript(_SCHEMA)
        users = [(number, f"{number}@example.org", "2001-02-03") for number in range(_USERS)]
        connection.executemany("INSERT INTO users VALUES (?, ?, ?)", users)
        notes = [(number, number % _USERS, f"note {number}") for number in range(_NOTES)]
        connection.executemany("INSERT INTO notes VALUES (?, ?, ?)", notes)
    daemon = importing_daemon(bench, postgres.dsn(), files)
    run_import(daemon.target, source, "warm")
    imported = []
    for number in range(rounds := bench.of(full=15, quick=5)):
        bench.say(f"round {number + 1} of {rounds}")
        imported.append(run_import(daemon.target, source, f"small_{number}"))
    walls = sorted(each.wall_s for each in imported)
    rows = [
        Row(
            "ours whole, from the command's start to its end, median",
            median(walls),
            "s",
            at_most(_WHOLE_BOUND_S),
            f"{walls[0]:.2f} to {walls[-1]:.2f}, each value verified; {imported[-1].stages_note}",
        )
    ]
    version = pgloader_version()
    if version is None:
        return [*rows, NOT_COMPARED]
    seconds, _ = pgloader_s(bench, postgres, source)
    return [*rows, Row(f"pgloader {version}, whole", seconds, "s")]


MEASUREMENT = Measurement("Importing a small file", _run)
