"""`/metrics`, `/prometheus/targets` and `/api/health/database/metrics`."""

import asyncio
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from dbopsd.errors import DatabaseNotFound, InvalidField
from dbopsd.http.parameters import boolean, parameters
from dbopsd.metrics.exposition import Exposition, Format
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Collection, Sample, Snapshot
from dbopsd.security.authorisation import require
from dbopsd.security.caller import Role, current_caller

_OPENMETRICS: Final = "application/openmetrics-text"
# Beyond it, compressing takes long enough to be felt by other callers.
_COMPRESSED_BESIDE_BYTES: Final = 64 * 1024
_GZIP_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class _Page:
    """A text as it was last sent, and the collections that it was made of."""

    made_of: tuple[int, ...]
    collections: tuple[Collection, ...]
    text: bytes
    compressed: bytes


class MetricsPaths:
    """The handlers. Nothing here waits for a database."""

    def __init__(self, hub: MetricsHub) -> None:
        self._hub = hub
        self._expositions = {
            (format_, labelled): Exposition(format_, server_label=labelled)
            for format_ in Format
            for labelled in (False, True)
        }
        self._pages: dict[tuple[Format, tuple[str, ...], bool], _Page] = {}

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
        only = found.get("database")
        return await self._text(request, self._visible(only), labelled=only is None)

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
        """The samples of `?database=` or of all; `?format=prometheus` as `/metrics` has them.

        Without `?detailed=true`, those of tables, indexes and statements are left out.
        """
        found = parameters(request, "database", "detailed", "format")
        detailed = boolean(found, "detailed")
        form = found.get("format", "json")
        if form not in ("json", "prometheus"):
            raise InvalidField("format", "is neither 'json' nor 'prometheus'")
        names = self._visible(found.get("database"))
        if form == "prometheus":
            return await self._text(request, names, labelled="database" not in found)
        snapshots = [self._hub.snapshot(name) for name in names]
        return web.json_response(
            {"databases": [_encode(snapshot, detailed=detailed) for snapshot in snapshots]}
        )

    def _visible(self, only: str | None) -> list[str]:
        """The names of the databases to show. Raises `RoleMissing` and `DatabaseNotFound`."""
        caller = current_caller.get()
        if only is not None:
            require(caller, Role.VIEWER, only)
            if only not in self._hub.databases:
                raise DatabaseNotFound(only)
            return [only]
        return [name for name in self._hub.databases if caller.may(Role.VIEWER, name)]

    async def _text(
        self, request: web.Request, names: Sequence[str], *, labelled: bool
    ) -> web.Response:
        accepted = request.headers.get(hdrs.ACCEPT, "")
        format_ = Format.OPENMETRICS if _OPENMETRICS in accepted else Format.TEXT
        page = await self._page(format_, tuple(names), labelled=labelled)
        headers = {hdrs.CONTENT_TYPE: format_.value, hdrs.VARY: "Accept, Accept-Encoding"}
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            return web.Response(body=page.compressed, headers=headers)
        return web.Response(body=page.text, headers=headers)

    async def _page(self, format_: Format, names: tuple[str, ...], *, labelled: bool) -> _Page:
        """The text now: the last one, as long as no collector has run since."""
        snapshots = [self._hub.snapshot(name) for name in names]
        collections = tuple(each for one in snapshots for each in one.collections.values())
        made_of = tuple(map(id, collections))
        page = self._pages.get((format_, names, labelled))
        if page is None or page.made_of != made_of:
            text = self._expositions[format_, labelled].write(snapshots).encode()
            if len(text) > _COMPRESSED_BESIDE_BYTES:
                compressed = await asyncio.to_thread(gzip.compress, text, _GZIP_LEVEL)
            else:
                compressed = gzip.compress(text, _GZIP_LEVEL)
            # With the collections, or another one might get the same id.
            page = _Page(made_of, collections, text, compressed)
            self._pages[format_, names, labelled] = page
        return page


def _encode(snapshot: Snapshot, *, detailed: bool) -> dict[str, object]:
    return {
        "name": snapshot.database,
        "sample_time": snapshot.sampled_at,
        "collectors": [
            {
                "name": each.status.name,
                "state": each.status.state.value,
                "reason": each.status.reason,
                "message": each.status.message,
            }
            for each in snapshot.collections.values()
        ],
        "samples": [_encode_sample(each) for each in _shown(snapshot.samples(), detailed=detailed)],
    }


def _shown(samples: Iterable[Sample], *, detailed: bool) -> Iterable[Sample]:
    many = frozenset(("relname", "indexrelname", "queryid"))
    return (
        each for each in samples if detailed or not many.intersection(each.series.metric.labels)
    )


def _encode_sample(sample: Sample) -> dict[str, object]:
    metric = sample.series.metric
    return {
        "metric": metric.name,
        "labels": sample.series.label_map(),
        "value": sample.value,
        "unit": metric.unit,
        "type": metric.type.value,
        "sample_time": sample.at,
    }
