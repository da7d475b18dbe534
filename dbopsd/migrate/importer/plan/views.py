"""Plan views."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.model.plan import Fate, PlannedObject
from dbopsd.migrate.importer.model.requests import IdentifierCase
from dbopsd.migrate.importer.model.source_schema import SourceView, folded
from dbopsd.migrate.importer.plan import ddl
from dbopsd.migrate.importer.plan.keys import TableContext
from dbopsd.migrate.importer.plan.names import Namespace
from dbopsd.migrate.importer.translate.translator import (
    FileBudget,
    NotTranslatable,
    Relation,
    UnknownRelation,
    columns_of,
    translate_view,
)


def plan_views(
    views: Sequence[SourceView],
    tables: Mapping[str, TableContext],
    names: Namespace,
    style: IdentifierCase,
    file: FileBudget,
    schema: str,
) -> list[PlannedObject]:
    """The views, each after those that it reads, to be created in `schema`.

    `style` is that of their columns' names.
    """
    relations = {name: _relation(parts) for name, parts in tables.items()}
    made: list[PlannedObject] = []
    refused: list[PlannedObject] = []
    # Those that read a view which is not made yet, by its name.
    waiting: dict[str, list[tuple[SourceView, NotTranslatable]]] = {}
    queue = deque(views)
    while queue:
        view = queue.popleft()
        try:
            translated = translate_view(view.sql, relations, view.columns, file)
        except UnknownRelation as why:
            waiting.setdefault(folded(why.construct), []).append((view, why))
            continue
        except NotTranslatable as why:
            refused.append(_refused(view, why))
            continue
        target, changed = names.take(view.name)
        own = Namespace(style, columns=True)
        columns = {
            name: replace(column, name=own.take(column.name)[0])
            for name, column in translated.columns.items()
        }
        relations[view.name] = Relation(quoted(schema, target), columns)
        called = tuple(column.name for column in columns.values())
        as_they_are = columns == translated.columns
        made.append(
            PlannedObject(
                *("view", view.name, Fate.CHANGED if changed else Fate.CARRIED),
                reason=f"it is called '{target}': {changed}" if changed else "",
                ddl=ddl.create_view(
                    quoted(schema, target), () if as_they_are else called, translated.sql
                ),
                target=target,
            )
        )
        queue.extend(each for each, _ in waiting.pop(folded(view.name), ()))
    refused += [_refused(view, why) for each in waiting.values() for view, why in each]
    return [*made, *refused]


def _refused(view: SourceView, why: NotTranslatable) -> PlannedObject:
    return PlannedObject("view", view.name, Fate.NOT_CARRIED, str(why))


def _relation(parts: TableContext) -> Relation:
    plain = all(each.not_null for each in map(parts.column, parts.source.primary_key) if each)
    carried = all(parts.column(name) is not None for name in parts.source.primary_key)
    return Relation(
        parts.target,
        columns_of(parts.source, parts.planned),
        parts.source.primary_key if plain and carried else (),
    )
