"""`VerifyImport`: compares a published import with a file, value by value."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dbopsd.migrate.importer import prepare
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.report import TableReport, VerifyReport
from dbopsd.migrate.importer.model.requests import ImportRequest, VerifyImportRequest
from dbopsd.migrate.importer.model.source_schema import quote_sqlite
from dbopsd.migrate.importer.model.target_errors import ImportNotPublished
from dbopsd.migrate.importer.processes.resources import import_processes, import_session
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import ImportRecord, RecordState
from dbopsd.migrate.importer.snapshot.key_ranges import KeyRange, split_table
from dbopsd.migrate.importer.snapshot.reader import TableUnreadable
from dbopsd.migrate.importer.snapshot.sqlite_copy import open_immutable
from dbopsd.migrate.importer.verify.compare_tables import (
    Expected,
    VerifiedTable,
    compare_among_others,
    compare_table,
)
from dbopsd.operations.kind import Run


async def verify_import(run: Run, request: VerifyImportRequest) -> VerifyReport:
    """Compare what is published with the file as it is now. Raises `ImportNotPublished`.

    In tables that also have rows of others, only the rows of the file count.
    """
    async with import_processes(run) as pool, import_session(run.database) as session:
        record = await import_records.get_record(session, request.import_id, run.database.name)
        if record.state is not RecordState.PUBLISHED:
            problem = f"is {record.state.value}: there is nothing published to compare"
            raise ImportNotPublished(request.import_id, problem)
        file = ImportRequest(source=request.source or record.source)
        taken = await prepare.ensure_snapshot(run, pool, file)
        plan = await asyncio.to_thread(_as_it_is_now, file.source, taken.path, record.plan)
        total = sum(table.rows for table in plan.tables)
        done = 0

        def on_progress(rows: int) -> None:
            nonlocal done
            done += rows
            run.progress("verify", done, total, prepare.UNIT_ROWS)

        verified: list[VerifiedTable] = []
        among_others = _among_others(record)
        for table in plan.tables:
            if table.target in among_others:
                verified.append(
                    await compare_among_others(
                        pool,
                        taken.path,
                        record.target_schema,
                        table,
                        request.max_examples,
                        on_progress,
                    )
                )
                continue
            ranges = await asyncio.to_thread(_split, taken.path, table, pool.count)
            verified.append(
                await compare_table(
                    pool,
                    session,
                    taken.path,
                    record.target_schema,
                    Expected(table.comparable, ranges),
                    request.max_examples,
                    on_progress,
                )
            )
    return _report(request, file.source, record.target_schema, verified)


def _among_others(record: ImportRecord) -> frozenset[str]:
    """The tables that also have rows of others, by their names in PostgreSQL.

    This is unknown for tables that an older version merged: there every other row counts.
    """
    return frozenset(
        each.name for each in record.published if each.merge is not None and not each.merge.whole
    )


def _as_it_is_now(source: str, path: str, plan: Plan) -> Plan:
    """The plan for the current file: with its numbers of rows and without storage classes.

    Raises `TableUnreadable` for a table that it no longer has.
    """
    tables = []
    with closing(open_immutable(Path(path))) as connection:
        for table in plan.tables:
            try:
                low, high, rows = _extent(connection, table)
            except sqlite3.Error as error:
                raise TableUnreadable(source, table.source, str(error)) from error
            columns = tuple(replace(column, storage_class="") for column in table.columns)
            tables.append(replace(table, columns=columns, rows=rows, min_rowid=low, max_rowid=high))
    return replace(plan, tables=tuple(tables))


def _extent(
    connection: sqlite3.Connection, table: PlannedTable
) -> tuple[int | None, int | None, int]:
    """The first and the last rowid, and how many rows there are."""
    rowid = table.rowid or "NULL"
    condition = f" WHERE (\n{table.where}\n)" if table.where else ""
    query = (
        f"SELECT min({rowid}), max({rowid}), count(*) FROM {quote_sqlite(table.source)}{condition}"  # noqa: S608
    )
    low, high, rows = connection.execute(query).fetchone()
    return low, high, rows


def _split(path: str, table: PlannedTable, processes: int) -> list[KeyRange | None]:
    with closing(open_immutable(Path(path))) as connection:
        return split_table(connection, table, processes)


def _report(
    request: VerifyImportRequest, source: str, schema: str, verified: list[VerifiedTable]
) -> VerifyReport:
    differing = sum(each.differing_rows for each in verified)
    return VerifyReport(
        import_id=request.import_id,
        source=source,
        schema=schema,
        equal=not differing,
        tables=[
            TableReport(
                source=each.table.source,
                target=each.table.target,
                rows=each.table.rows,
                verified_rows=each.rows,
                differing_rows=each.differing_rows,
            )
            for each in verified
        ],
        differences=[difference for each in verified for difference in each.examples],
        verified_rows=sum(each.rows for each in verified),
        differing_rows=differing,
    )
