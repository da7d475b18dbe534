"""A real database of 38 tables, views and triggers, whole: PROJ's, as pyproj brings it."""

import shutil
from pathlib import Path
from statistics import median

import pyproj

from bench.imports import importing_daemon, run_import
from bench.measurement import Measurement, Row
from bench.pgloader import NOT_COMPARED, pgloader_s, pgloader_version
from bench.workbench import Workbench


def _run(bench: Workbench) -> list[Row]:
    postgres = bench.postgres(durable=True)
    files = bench.directory("files")
    source = files / "proj.db"
    shutil.copy(Path(pyproj.datadir.get_data_dir()) / "proj.db", source)
    daemon = importing_daemon(bench, postgres.dsn(), files)
    imported = []
    for number in range(rounds := bench.of(full=3, quick=1)):
        bench.say(f"round {number + 1} of {rounds}")
        imported.append(run_import(daemon.target, source, "proj"))
    last = imported[-1]
    tables = len(last.report["tables"])
    rows = [
        Row(
            "ours whole, from the command's start to its end",
            median(each.wall_s for each in imported),
            "s",
            note=f"{tables} tables, {last.rows:,} rows, each value verified; {last.stages_note}",
        )
    ]
    version = pgloader_version()
    if version is None:
        return [*rows, NOT_COMPARED]
    bench.say("pgloader")
    seconds, loaded = pgloader_s(bench, postgres, source)
    return [
        *rows,
        Row(f"pgloader {version}, whole", seconds, "s", note=f"exits 0; {loaded} tables with rows"),
    ]


MEASUREMENT = Measurement("Importing a real database, proj.db", _run)
