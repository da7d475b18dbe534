"""Swaps staged tables and views with those of the same names, in one short transaction."""

from collections.abc import Mapping, Sequence
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import Plan
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.model.target_errors import NameTaken, TableInUse
from dbopsd.migrate.importer.postgres import schemas
from dbopsd.migrate.importer.postgres.dependencies import check_dependencies
from dbopsd.migrate.importer.postgres.sql import statement
from dbopsd.migrate.importer.postgres.table_guards import LOCK_TIMEOUT, LockOrder
from dbopsd.migrate.importer.publish.base import Publication
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import (
    ImportRecord,
    PublishedRelation,
    RecordState,
)

# pg_class.relkind of what gives way to an imported table or view, as ALTER … SET SCHEMA calls it.
_GIVE_WAY: Final = {"r": "TABLE", "p": "TABLE", "f": "FOREIGN TABLE", "v": "VIEW"}


class Swap(Publication):
    """REPLACE with the plan's own tables: they replace tables of the same names, which are kept."""

    async def check(self, session: Session, request: ImportRequest, plan: Plan) -> Plan:
        """The plan, unchanged. Raises `NameTaken`, `TableInUse` if its tables cannot be there."""
        views = _views(plan)
        standing = await _standing(session, request.schema, plan, views)
        types = [*(table.target for table in plan.tables), *views]
        indexes = [each.target for each in plan.objects if each.target and each.ddl]
        # As PostgreSQL calls them, where that is not too long.
        sequences = [f"{each.target}_{each.identity}_seq" for each in plan.tables if each.identity]
        relations = [*types, *indexes, *sequences]
        await _check(session, request.schema, standing, relations, types)
        return plan

    async def apply(
        self,
        session: Session,
        record: ImportRecord,
        request: ImportRequest,
        order: LockOrder,
    ) -> ImportRecord:
        """Replace the tables and views of the same names, and keep these in the previous schema.

        The new ones get the owners and privileges of the old ones. Does nothing if it is published
        already. Raises `NameTaken`, `TableInUse`, `UnexpectedDependency`.
        """
        async with session.transaction():
            await session.execute(LOCK_TIMEOUT)
            current = await import_records.lock_record(session, record.import_id)
            if current.state is not RecordState.STAGED:
                return current
            await schemas.create_schema(session, record.target_schema)
            views = await _staged_views(session, record)
            standing = await _standing(session, record.target_schema, record.plan, views)
            staged = await session.fetch_one(
                statement("relation_names"), {"schema": record.staging_schema}
            )
            await _check(session, record.target_schema, standing, *(staged or ([], [])))
            if standing:
                await schemas.create_schema(session, record.previous_schema)
            for name in order.sorted(standing):
                _, kind = standing[name]
                with order.acquiring(name):
                    await _move(session, kind, name, record.target_schema, record.previous_schema)
            kinds = {table.target: "TABLE" for table in record.plan.tables}
            kinds |= dict.fromkeys(views, "VIEW")
            for name, kind in kinds.items():
                await _move(session, kind, name, record.staging_schema, record.target_schema)
            found = await import_records.fetch_relations(session, record.target_schema, list(kinds))
            oids = {name: oid for oid, name, _ in found}
            # Before any of them has another owner, or can be read by others.
            await check_dependencies(session, oids.values())
            relations = []
            for name, kind in kinds.items():
                oid, before = oids[name], standing.get(name)
                if before is not None:
                    located = (record.target_schema, name)
                    await _hand_over(session, kind, located, before=before[0], now=oid)
                replaced = before[1] if before is not None else ""
                relations.append(PublishedRelation(name, kind, oid, replaced))
            await schemas.drop_schema(session, record.staging_schema)
            await import_records.set_published(session, record.import_id, tuple(relations))
        async with session.transaction():
            return await import_records.get_record(session, record.import_id, "")

    async def revert(
        self, session: Session, record: ImportRecord, order: LockOrder
    ) -> list[RevertedTable]:
        """Restore what the import replaced, and move what it published to the staging schema.

        Raises `ImportNotPublished`, `TableInUse`.
        """
        async with session.transaction():
            await session.execute(LOCK_TIMEOUT)
            current = await import_records.begin_revert(session, record.import_id)
            await _refuse_dependents(session, [relation.oid for relation in current.published])
            await schemas.create_schema(session, record.staging_schema)
            brought = {relation.name: relation for relation in current.published}
            away = (record.target_schema, record.staging_schema)
            for name in order.sorted(brought):
                with order.acquiring(name):
                    await _move(session, brought[name].kind, name, *away)
            for relation in current.published:
                if relation.replaced:
                    back = (record.previous_schema, record.target_schema)
                    await _move(session, relation.replaced, relation.name, *back)
            if any(relation.replaced for relation in current.published):
                await schemas.drop_empty_schema(session, record.previous_schema)
        return []


def _views(plan: Plan) -> list[str]:
    """The views of the plan, by their names in PostgreSQL."""
    return [each.target for each in plan.objects if each.kind == "view" and each.ddl]


async def _staged_views(session: Session, record: ImportRecord) -> list[str]:
    """The views of the plan that were created."""
    names = _views(record.plan)
    found = await import_records.fetch_relations(session, record.staging_schema, names)
    made = {name for _, name, _ in found}
    return [name for name in names if name in made]


async def _standing(
    session: Session, schema: str, plan: Plan, views: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """The relations of the target schema that will be replaced, by name: oid and kind."""
    names = [*(table.target for table in plan.tables), *views]
    rows = await import_records.fetch_relations(session, schema, names)
    return {name: (oid, _GIVE_WAY[relkind]) for oid, name, relkind in rows if relkind in _GIVE_WAY}


async def _check(
    session: Session,
    schema: str,
    standing: Mapping[str, tuple[int, str]],
    relations: Sequence[str],
    types: Sequence[str],
) -> None:
    """Raise if the names are taken by anything but `standing`, which will be replaced."""
    replaced = [oid for oid, _ in standing.values()]
    names = {"relations": list(relations), "types": list(types)}
    taken = await session.fetch_all(
        statement("names_in_use"), {"schema": schema, "replaced": replaced, **names}
    )
    for name, kind, _ in taken:
        raise NameTaken(quoted(schema, name), kind)
    await _refuse_dependents(session, replaced)


async def _refuse_dependents(session: Session, oids: Sequence[int]) -> None:
    rows = await session.fetch_all(statement("dependents"), {"replaced": list(oids)})
    if rows:
        table = rows[0][1]
        by = ", ".join(dependent for dependent, of in rows if of == table)
        raise TableInUse(table, by)


async def _move(session: Session, kind: str, name: str, schema: str, to: str) -> None:
    move = Statement(f"ALTER {kind} {{name}} SET SCHEMA {{to}}", f"ALTER {kind} SET SCHEMA")
    await session.execute(move.with_identifiers(name=(schema, name), to=to))


async def _hand_over(
    session: Session, kind: str, name: tuple[str, str], *, before: int, now: int
) -> None:
    """Give a new relation the owner and the privileges of the one that it replaces."""
    row = await session.fetch_one(statement("owner"), (before,))
    if row is not None and not row[1]:
        own = Statement(f"ALTER {kind} {{name}} OWNER TO {{owner}}", f"ALTER {kind} OWNER")
        await session.execute(own.with_identifiers(name=name, owner=row[0]))
    # After the owner: one that we had ourselves would be taken for the new owner's otherwise.
    for privilege, grantable, grantee, column in await session.fetch_all(
        statement("privileges"), {"before": before, "now": now}
    ):
        option = " WITH GRANT OPTION" if grantable else ""
        text = f"GRANT {privilege}{column} ON {quoted(*name)} TO {grantee}{option}"
        await session.execute(Statement(text, "GRANT"))
