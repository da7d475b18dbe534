"""`dbopsd config-reference`, and the page in `docs/` that it writes."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dbopsd import reference
from dbopsd.__main__ import cli
from dbopsd.config import sections
from dbopsd.health.check import load_checks
from dbopsd.health.prober import REACHABLE_CHECK

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_program_says() -> None:
    assert PAGE.read_text() == reference.markdown(), "run `make docs`"


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(cli, ["config-reference"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == reference.markdown()


@pytest.mark.parametrize(("model", "path"), list(sections()), ids=[path for _, path in sections()])
def test_every_key_is_there(model: type, path: str) -> None:
    _, _, after = PAGE.read_text().partition(f"## `[{path}]`\n")
    section = after.partition("\n## ")[0]
    assert section, path
    tables = {below.removeprefix(f"{path}.") for _, below in sections() if below.startswith(path)}
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        assert f"| `{field.alias or name}` | " in section or name in tables, name


def test_every_check_is_there_with_its_thresholds() -> None:
    page = PAGE.read_text()
    checks = (REACHABLE_CHECK, *load_checks())
    assert len(checks) >= 14
    for check in checks:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{check.name}` |")]
        _, _, about, unit, *numbers, every, _ = [cell.strip() for cell in row.split("|")]
        assert (about, unit, every) == (check.about, f"`{check.unit}`", f"{check.every_s:g} s")
        bounds = (check.thresholds.warning, check.thresholds.critical)
        for number, bound in zip(numbers, bounds, strict=True):
            if bound is None:
                assert number == "none"
            else:
                assert float(number.replace(",", "")) == pytest.approx(bound, rel=1e-3)


def test_it_is_well_written() -> None:
    page = PAGE.read_text()
    assert "OpenTelemetry traces and metrics" in page
    assert "None" not in page
    assert "PydanticUndefined" not in page
