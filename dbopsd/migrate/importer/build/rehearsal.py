"""Create all objects of a plan without rows and roll back, to find what PostgreSQL rejects."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.migrate.importer.build.build_objects import find_problem, try_create_object
from dbopsd.migrate.importer.build.staging_tables import creation_order
from dbopsd.migrate.importer.model.plan import (
    Fate,
    Plan,
    PlannedColumn,
    PlannedObject,
    PlannedTable,
    values_only,
)
from dbopsd.migrate.importer.plan import ddl
from dbopsd.migrate.importer.postgres.catalog_names import qualified_type
from dbopsd.migrate.importer.postgres.dependencies import check_dependencies
from dbopsd.migrate.importer.postgres.schemas import create_schema
from dbopsd.migrate.importer.records import import_records

_REFUSED: Final = "PostgreSQL refuses it: "


async def rehearse(session: Session, schema: str, plan: Plan) -> Plan:
    """The plan without what PostgreSQL refuses. `schema` is created for it and rolled back.

    Raises `UnexpectedDependency`.
    """
    async with session.trial():
        await create_schema(session, schema)
        return await _Rehearsal(session, schema, plan).run()


class _Rehearsal:
    def __init__(self, session: Session, schema: str, plan: Plan) -> None:
        self._session = session
        self._schema = schema
        self._plan = plan
        self._objects = list(plan.objects)

    async def run(self) -> Plan:
        by_source = {
            each.source: await self._table(each) for each in creation_order(self._plan.tables)
        }
        tables = [made for each in self._plan.tables if (made := by_source[each.source])]
        lost = {each.source for each in self._plan.tables} - {each.source for each in tables}
        kept = [each for each in self._objects if each.table not in lost or each.kind == "table"]
        views = [each for each in kept if each.kind == "view" and each.ddl]
        others = [each for each in kept if each not in views]
        objects = [await self._object(each) if each.ddl else each for each in others]
        objects += await self._views(views)
        await self._check_dependencies(tables, objects)
        return replace(self._plan, tables=tuple(tables), objects=tuple(objects))

    async def _check_dependencies(
        self, tables: list[PlannedTable], objects: list[PlannedObject]
    ) -> None:
        """Raises `UnexpectedDependency`."""
        names = [table.target for table in tables]
        names += [each.target for each in objects if each.kind == "view" and each.ddl]
        found = await import_records.fetch_relations(self._session, self._schema, names)
        await check_dependencies(self._session, [oid for oid, *_ in found])

    async def _table(self, table: PlannedTable) -> PlannedTable | None:
        bare = replace(
            table,
            columns=tuple(replace(each, generated="", default="") for each in table.columns),
        )
        problem = await find_problem(self._session, ddl.create_table(self._schema, bare), "table")
        if problem:
            self._set_fate(
                lambda each: each.kind == "table" and each.table == table.source,
                Fate.NOT_CARRIED,
                _REFUSED + problem,
            )
            return None
        columns = [await self._expressions(table, column) for column in table.columns]
        return replace(table, columns=tuple(columns))

    async def _expressions(self, table: PlannedTable, column: PlannedColumn) -> PlannedColumn:
        name = f"{table.source}.{column.source}"
        alter = f"ALTER TABLE {quoted(self._schema, table.target)}"
        if column.default:
            set_default = (
                f"{alter} ALTER COLUMN {quoted(column.target)} SET DEFAULT {column.default}"
            )
            problem = await find_problem(
                self._session, set_default, "default"
            ) or await find_problem(
                # Taken into a definition, 70000 for a smallint fails with the first row only.
                self._session,
                f"SELECT CAST(({column.default}) AS {qualified_type(column.type)})",
                "default",
            )
            if problem:
                self._set_fate(
                    lambda each: each.kind == "default" and each.name == name,
                    Fate.NOT_CARRIED,
                    _REFUSED + problem,
                )
                return replace(column, default="")
        if column.generated:
            drop = f"{alter} DROP COLUMN {quoted(column.target)}"
            add = f"ADD COLUMN {ddl.column_definition(column, table)}"
            problem = await find_problem(self._session, f"{drop}, {add}", "generated column")
            if problem:
                instead = values_only(table.source, column.source, _REFUSED + problem)
                self._set_fate(
                    lambda each: each.kind == "generated column" and each.name == name,
                    instead.fate,
                    instead.reason,
                )
                return replace(column, generated="")
        return column

    async def _object(self, planned: PlannedObject) -> PlannedObject:
        made = await try_create_object(self._session, replace(planned, fallback=""))
        if made.fate is Fate.NOT_CARRIED:
            return replace(made, ddl="", validate="", fallback="")
        return planned

    async def _views(self, views: list[PlannedObject]) -> list[PlannedObject]:
        """The views, each after the views that it reads."""
        made: list[PlannedObject] = []
        left = views
        while left:
            refused: list[PlannedObject] = []
            for view in left:
                tried = await self._object(view)
                (refused if tried.fate is Fate.NOT_CARRIED else made).append(tried)
            if len(refused) == len(left):
                return [*made, *refused]
            by_name = {view.name: view for view in left}
            left = [by_name[view.name] for view in refused]
        return made

    def _set_fate(self, about: Callable[[PlannedObject], bool], fate: Fate, reason: str) -> None:
        self._objects = [
            replace(each, fate=fate, reason=reason) if about(each) else each
            for each in self._objects
        ]
