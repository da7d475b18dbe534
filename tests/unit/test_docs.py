"""The TOML of the documentation's pages is a configuration that dbopsd takes."""

import re
from pathlib import Path

import pytest

from dbopsd.config import load_config
from dbopsd.telemetry.setup import start_telemetry

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = {
    f"{page.name}:{number}": text
    for page in sorted(DOCS.glob("*.md"))
    # Mappings of imports are files of their own, and so are rules of alerts.
    if page.name != "import.md"
    for number, text in enumerate(_BLOCK.findall(page.read_text()), 1)
    if not text.startswith("[rules.")
}
PUSHES = {name: text for name, text in BLOCKS.items() if "otlp_endpoint" in text}


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS.keys())
def test_a_block_is_a_configuration(text: str, tmp_path: Path) -> None:
    file = tmp_path / "dbopsd.toml"
    # A page may show what belongs into the table of a database.
    file.write_text(text if "[databases." in text else f"{text}\n[databases.main]\n")
    load_config(file)


@pytest.mark.parametrize("text", PUSHES.values(), ids=PUSHES.keys())
async def test_a_push_that_is_described_can_be_set_up(text: str, tmp_path: Path) -> None:
    file = tmp_path / "dbopsd.toml"
    file.write_text(text)
    config = load_config(file).telemetry
    telemetry = start_telemetry(config, version="1")
    assert telemetry.new_metrics_sender is not None
    telemetry.new_metrics_sender().close()
    await telemetry.shutdown(0.1)
    vendor = any(each in text for each in ("datadog", "nr-data", "127.0.0.1:4317"))
    assert (config.otlp_temporality == "delta") == vendor


def test_the_pushes_are_there() -> None:
    assert len([name for name in PUSHES if name.startswith("metrics.md")]) == 4


def test_headers_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPSD_TELEMETRY__OTLP_HEADERS", '{"dd-api-key": "secret"}')
    headers = load_config().telemetry.otlp_headers
    assert headers["dd-api-key"].get_secret_value() == "secret"
