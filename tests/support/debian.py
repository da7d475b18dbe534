"""Debian's Prometheus, postgres_exporter and PgBouncer, as real processes of the tests."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.support.daemon import clean_environment
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory

_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "pgbouncer": "pgbouncer",
}
# Both write it once they listen; port 0 takes a free one.
_LISTENING = re.compile(r'msg="?Listening on"? address=127\.0\.0\.1:(\d+)')
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def tool(name: str) -> Path:
    """Where one of Debian's programs is; LookupError says what to install if it is missing."""
    path = shutil.which(name)
    if path is None:
        raise LookupError(f"{name} is not here: apt-get install {_PACKAGES[name]}")
    return Path(path)


def fetch(url: str, timeout: float = 10.0) -> str:
    """The body of `url`, asked for directly, whatever proxies the environment names."""
    try:
        with _NO_PROXY.open(url, timeout=timeout) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from None


class _Program:
    """A program that listens, ended with its directory."""

    def __init__(self, command: Sequence[str], directory: Path, **environment: str) -> None:
        self.directory = directory
        self._log_path = directory / "log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=clean_environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

        def found() -> re.Match[str] | bool | None:
            return _LISTENING.search(self.log_text()) or self._process.poll() is not None

        eventually_blocking(found, 30, f"{command[0]} listens")
        listening = _LISTENING.search(self.log_text())
        assert listening, self.log_text()
        self.url = f"http://127.0.0.1:{listening[1]}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def log_text(self) -> str:
        return self._log_path.read_text(errors="replace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Prometheus(_Program):
    """A Prometheus that scrapes by `scrape_configs`, each a mapping of its configuration.

    `rules` is the text of a rules file. It scrapes and evaluates each second.
    """

    def __init__(self, scrape_configs: Sequence[dict[str, Any]], rules: str = "") -> None:
        directory = new_directory("prometheus-")
        (directory / "rules.yml").write_text(rules or "groups: []\n")
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": list(scrape_configs),
            "rule_files": ["rules.yml"],
        }
        # JSON is YAML.
        (directory / "prometheus.yml").write_text(json.dumps(config))
        super().__init__(
            [
                str(tool("prometheus")),
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            directory,
        )
        eventually_blocking(lambda: self._get("/-/ready"), 30, "Prometheus is ready")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The elements of an instant vector now, each with `metric` and `value`."""
        result = self._answer("query", query=expression)["result"]
        assert isinstance(result, list)
        return result

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, with `health`, `lastError` and `labels`."""
        return list(self._answer("targets")["activeTargets"])

    def rules(self) -> list[dict[str, Any]]:
        """Its rules, each with `name`, `health` and perhaps `lastError`."""
        return [rule for group in self._answer("rules")["groups"] for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Its pending and firing alerts, each with `labels` and `state`."""
        return list(self._answer("alerts")["alerts"])

    def _answer(self, method: str, **parameters: str) -> dict[str, Any]:
        body = json.loads(self._get(f"/api/v1/{method}?{urllib.parse.urlencode(parameters)}"))
        assert body["status"] == "success", body
        return dict(body["data"])

    def _get(self, path: str) -> str:
        return fetch(self.url + path)


class PostgresExporter(_Program):
    """Debian's postgres_exporter on the server of `dsn`, a URI or key-value DSN."""

    def __init__(self, dsn: str, *arguments: str) -> None:
        super().__init__(
            [
                str(tool("prometheus-postgres-exporter")),
                "--web.listen-address=127.0.0.1:0",
                *arguments,
            ],
            new_directory("postgres-exporter-"),
            DATA_SOURCE_NAME=dsn,
        )

    def scrape(self) -> str:
        """Its metrics now, in the text format."""
        return fetch(f"{self.url}/metrics")
