"""`/metrics`, `/prometheus/targets` and `/api/health/database/metrics`."""

import asyncio
import gzip
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from aiohttp import hdrs, web

from dbopsd.errors import DatabaseNotFound, InvalidField
from dbopsd.http.accept import accepts_encoding, media_weight
from dbopsd.http.metrics_json import MetricsJson
from dbopsd.http.parameters import boolean, parameters
from dbopsd.metrics.exposition import Exposition, Format
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Collection, Snapshot
from dbopsd.security.authorisation import require
from dbopsd.security.caller import Role, current_caller

_JSON: Final = "application/json; charset=utf-8"
# Beyond it, compressing takes long enough to be felt by other callers.
_COMPRESSED_BESIDE_BYTES: Final = 64 * 1024
_GZIP_LEVEL: Final = 1
# There are new samples every second, so an older text is of no use.
_KEPT_S: Final = 2.0


class _Form(Enum):
    """How samples are written; the value is the `Content-Type`."""

    TEXT = Format.TEXT.value
    OPENMETRICS = Format.OPENMETRICS.value
    JSON = _JSON


class _Writer(Protocol):
    def prepare(self, snapshot: Snapshot) -> None: ...

    def write(self, snapshots: Sequence[Snapshot]) -> str: ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a page shows. With `labelled`, each sample says its database by the label `server`."""

    form: _Form
    names: tuple[str, ...]
    labelled: bool
    detailed: bool


@dataclass(frozen=True, slots=True)
class _Text:
    plain: bytes
    compressed: bytes


@dataclass(frozen=True, slots=True)
class _Page:
    """A text as it was last sent, or is being made, and the collections that it is made of."""

    made_of: tuple[int, ...]
    # With them, or another one might get the same id.
    collections: tuple[Collection, ...]
    text: asyncio.Task[_Text]
    made_at: float


class MetricsPaths:
    """The handlers. Nothing here waits for a database. `clock` is monotonic, in seconds."""

    def __init__(self, hub: MetricsHub, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._clock = clock
        self._writers: dict[tuple[_Form, bool, bool], _Writer] = {}
        self._pages: dict[_Wanted, _Page] = {}

    def routes(self) -> list[web.RouteDef]:
        """Where they are served; HEAD comes with GET."""
        return [
            web.get("/metrics", self.metrics),
            web.get("/prometheus/targets", self.targets),
            web.get("/api/health/database/metrics", self.database_metrics),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        """Every sample of `?database=`, or of all databases with a label `server`."""
        found = parameters(request, "database")
        return await self._answer(request, _prometheus_form(request), found, detailed=True)

    async def targets(self, request: web.Request) -> web.Response:
        """Prometheus's HTTP service discovery: a target a database."""
        parameters(request)
        groups = [
            {
                "targets": [request.host],
                "labels": {
                    "__metrics_path__": "/metrics",
                    "__param_database": name,
                    "instance": name,
                },
            }
            for name in self._visible(None)
        ]
        return web.json_response(groups)

    async def database_metrics(self, request: web.Request) -> web.Response:
        """The samples of `?database=` or of all, as JSON or with `?format=prometheus`.

        Without `?detailed=true`, those of single tables, indexes and statements are left out.
        """
        found = parameters(request, "database", "detailed", "format")
        detailed = boolean(found, "detailed")
        asked = found.get("format", "json")
        if asked not in ("json", "prometheus"):
            raise InvalidField("format", "is neither 'json' nor 'prometheus'")
        form = _Form.JSON if asked == "json" else _prometheus_form(request)
        return await self._answer(request, form, found, detailed=detailed)

    def _visible(self, only: str | None) -> list[str]:
        """The names of the databases to show. Raises `RoleMissing` and `DatabaseNotFound`."""
        caller = current_caller.get()
        if only is not None:
            require(caller, Role.VIEWER, only)
            if only not in self._hub.databases:
                raise DatabaseNotFound(only)
            return [only]
        return [name for name in self._hub.databases if caller.may(Role.VIEWER, name)]

    async def _answer(
        self, request: web.Request, form: _Form, found: dict[str, str], *, detailed: bool
    ) -> web.Response:
        only = found.get("database")
        labelled = only is None and form is not _Form.JSON
        wanted = _Wanted(form, tuple(self._visible(only)), labelled, detailed)
        text = await self._text(wanted)
        headers = {hdrs.CONTENT_TYPE: form.value, hdrs.VARY: "Accept, Accept-Encoding"}
        if accepts_encoding(request.headers.get(hdrs.ACCEPT_ENCODING, ""), "gzip"):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            return web.Response(body=text.compressed, headers=headers)
        return web.Response(body=text.plain, headers=headers)

    async def _text(self, wanted: _Wanted) -> _Text:
        """The text now: the last one, as long as no collector has run since.

        However many ask for it at once, it is made once.
        """
        snapshots = [self._hub.snapshot(name) for name in wanted.names]
        collections = tuple(each for one in snapshots for each in one.collections.values())
        made_of = tuple(map(id, collections))
        page = self._pages.get(wanted)
        if page is None or page.made_of != made_of:
            now = self._clock()
            making = asyncio.create_task(self._make(wanted, snapshots))
            page = _Page(made_of, collections, making, now)
            kept = {key: old for key, old in self._pages.items() if now - old.made_at < _KEPT_S}
            self._pages = {**kept, wanted: page}
        # One who goes away must not take it from the others.
        return await asyncio.shield(page.text)

    async def _make(self, wanted: _Wanted, snapshots: Sequence[Snapshot]) -> _Text:
        writer = self._writer(wanted)
        for snapshot in snapshots:
            writer.prepare(snapshot)
            # A hundred databases take a while, and others are answered in between.
            await asyncio.sleep(0)
        plain = writer.write(snapshots).encode()
        if len(plain) > _COMPRESSED_BESIDE_BYTES:
            return _Text(plain, await asyncio.to_thread(gzip.compress, plain, _GZIP_LEVEL))
        return _Text(plain, gzip.compress(plain, _GZIP_LEVEL))

    def _writer(self, wanted: _Wanted) -> _Writer:
        key = (wanted.form, wanted.labelled, wanted.detailed)
        writer = self._writers.get(key)
        if writer is None:
            writer = self._writers[key] = (
                MetricsJson(detailed=wanted.detailed)
                if wanted.form is _Form.JSON
                else Exposition(
                    Format(wanted.form.value),
                    server_label=wanted.labelled,
                    detailed=wanted.detailed,
                )
            )
        return writer


def _prometheus_form(request: web.Request) -> _Form:
    """OpenMetrics where it is wanted at least as much as the older text."""
    accepted = request.headers.get(hdrs.ACCEPT, "")
    weight = media_weight(accepted, "application/openmetrics-text", "1.0.0")
    if weight > 0 and weight >= media_weight(accepted, "text/plain"):
        return _Form.OPENMETRICS
    return _Form.TEXT
