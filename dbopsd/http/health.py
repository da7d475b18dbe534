"""`/livez`, `/readyz` and `/api/health/database`: answers from the board alone."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from dbopsd.health.board import HealthBoard
from dbopsd.health.report import CheckResult, Report, State
from dbopsd.http.parameters import boolean, parameters
from dbopsd.http.values import finite, time_text
from dbopsd.security.authorisation import require
from dbopsd.security.caller import Role, current_caller

_SERVING: Final = (State.HEALTHY, State.DEGRADED)
# The worst state of several databases. UNKNOWN is worse than DEGRADED: nobody can say it serves.
_WORST_LAST: Final = (State.HEALTHY, State.DEGRADED, State.UNKNOWN, State.UNHEALTHY)


class HealthPaths:
    """The handlers. `clock` gives seconds since 1970."""

    def __init__(self, board: HealthBoard, clock: Callable[[], float]) -> None:
        self._board = board
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Where they are served; HEAD comes with GET."""
        return [
            web.get("/livez", self.livez),
            web.get("/readyz", self.readyz),
            web.get("/api/health/database", self.database),
        ]

    async def livez(self, request: web.Request) -> web.Response:
        """200 as long as the process answers; never because of a database."""
        parameters(request)
        return web.json_response({"alive": True})

    async def readyz(self, request: web.Request) -> web.Response:
        """200 where traffic should come here, else 503."""
        parameters(request)
        ready = self._board.ready
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def database(self, request: web.Request) -> web.Response:
        """The state of all databases, or of `?database=`; 200 if all serve, else 503.

        All are those that the caller may see. `?detailed=true` adds the checks.
        """
        asked = parameters(request, "database", "detailed")
        detailed = boolean(asked, "detailed")
        only = asked.get("database")
        reports = [self._board.report(name) for name in self._visible(only)]
        # `worst` is None only for callers whose databases are no longer configured.
        worst = max((report.state for report in reports), key=_WORST_LAST.index, default=None)
        state = worst or State.UNKNOWN
        now = self._clock()
        body = {
            "state": state.value,
            "databases": [_encode(report, now, detailed=detailed) for report in reports],
        }
        serving = all(report.state in _SERVING for report in reports)
        return web.json_response(body, status=200 if serving else 503)

    def _visible(self, only: str | None) -> list[str]:
        caller = current_caller.get()
        if only is not None:
            require(caller, Role.VIEWER, only)
            return [only]
        return [info.name for info in self._board.databases if caller.may(Role.VIEWER, info.name)]


def _encode(report: Report, now: float, *, detailed: bool) -> dict[str, object]:
    encoded: dict[str, object] = {
        "name": report.database,
        "state": report.state.value,
        "explanation": report.explanation,
        "server_role": report.server_role.value if report.server_role else None,
        "server_version": report.server_version or None,
        "answer_time": time_text(report.answered_at),
        "age_s": _age_s(report.answered_at, now),
    }
    if detailed:
        encoded["checks"] = [_encode_check(result, now) for result in report.checks]
    return encoded


def _encode_check(result: CheckResult, now: float) -> dict[str, object]:
    return {
        "check": result.check,
        "state": result.state.value,
        "value": finite(result.value),
        "unit": result.unit,
        "warning_threshold": finite(result.thresholds.warning),
        "critical_threshold": finite(result.thresholds.critical),
        "reason": result.reason,
        "message": result.message,
        "measure_time": time_text(result.measured_at),
        "age_s": _age_s(result.measured_at, now),
    }


def _age_s(since: float | None, now: float) -> float | None:
    # A clock that was set back must not make an age negative.
    return None if since is None else round(max(0.0, now - since), 3)
