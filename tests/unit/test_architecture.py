"""The pages about the source tree name what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORTER = ROOT / "dbopsd/migrate/importer"
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def children(package: Path) -> list[str]:
    return sorted(
        each.stem
        for each in package.iterdir()
        if not each.name.startswith("__")
        and (each.suffix == ".py" or (each / "__init__.py").exists())
    )


@pytest.mark.parametrize("name", children(IMPORTER))
def test_each_stage_is_described(name: str) -> None:
    assert f"`{name}`" in ARCHITECTURE


@pytest.mark.parametrize("name", children(ROOT / "dbopsd"))
def test_each_room_is_listed(name: str) -> None:
    assert re.search(rf"`dbopsd/{name}[`/.]", CONTRIBUTING)


@pytest.mark.parametrize("text", [ARCHITECTURE, CONTRIBUTING], ids=["architecture", "contributing"])
def test_the_files_that_they_name_are_there(text: str) -> None:
    named = set(re.findall(r"(?<![\w/.])[a-z_]+(?:/[a-z_*]+)+\.(?:py|md|sql)\b", text))
    roots = (ROOT, ROOT / "dbopsd", IMPORTER, ROOT / "clients/python/dbops_client")
    assert named
    assert [each for each in sorted(named) if not any(any(root.glob(each)) for root in roots)] == []
