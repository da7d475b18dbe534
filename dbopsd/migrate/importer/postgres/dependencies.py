"""What the definitions of an import's tables and views depend on."""

from collections.abc import Iterable

from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.target_errors import UnexpectedDependency
from dbopsd.migrate.importer.postgres.catalog_names import FUNCTIONS
from dbopsd.migrate.importer.postgres.sql import statement


async def check_dependencies(session: Session, relations: Iterable[int]) -> None:
    """Check the views, constraints, defaults and indexes of the import's relations, by their oids.

    They may use each other and some functions of pg_catalog: a view over anything else would show
    it to whoever may read the view. Raises `UnexpectedDependency`.
    """
    own = {"relations": list(relations), "functions": sorted(FUNCTIONS)}
    for of, dependency in await session.fetch_all(statement("unexpected_dependencies"), own):
        raise UnexpectedDependency(of, dependency)
