"""The methods about what could be done about a database."""

import re
from typing import Any, Final

from cachetools import TTLCache
from dbops.v1 import metrics_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from dbopsd.errors import InvalidField
from dbopsd.metrics.advice.adviser import Adviser, Judged
from dbopsd.metrics.advice.finding import Finding
from dbopsd.rpc.encode import database_id, resource_name
from dbopsd.rpc.paging import paginate

# For how long the next pages are of what was judged for the first one.
_PAGES_S: Final = 60.0
_LISTS: Final = 8
_NAME: Final = re.compile(r"databases/(?P<database>[^/]+)/advice/(?P<advice>[^/]+)")


class AdviceMethods:
    """Judges the database at each call, but for pages after the first."""

    def __init__(self, adviser: Adviser) -> None:
        self._adviser = adviser
        self._paged: TTLCache[tuple[str, frozenset[str]], Judged] = TTLCache(_LISTS, _PAGES_S)

    async def ListAdvice(  # noqa: N802 - gRPC's names
        self, request: metrics_pb2.ListAdviceRequest, context: Any
    ) -> metrics_pb2.ListAdviceResponse:
        """A page of what could be done, the most useful first."""
        database = database_id(request.parent)
        asked = (database, frozenset(request.kinds))
        judged = self._paged.get(asked) if request.page_token else None
        if judged is None:
            judged = await self._adviser.list(database, request.kinds)
        now = Timestamp()
        now.GetCurrentTime()
        page = paginate(
            judged.findings,
            key=lambda each: each.order,
            of="ListAdvice",
            page_size=request.page_size,
            page_token=request.page_token,
        )
        if page.next_page_token:
            self._paged[asked] = judged
        return metrics_pb2.ListAdviceResponse(
            advice=[_encode(each, database, now) for each in page.items],
            next_page_token=page.next_page_token,
            gaps=[
                metrics_pb2.AdviceGap(kind=each.kind, reason=each.reason, message=each.message)
                for each in judged.gaps
            ],
        )

    async def GetAdvice(  # noqa: N802
        self, request: metrics_pb2.GetAdviceRequest, context: Any
    ) -> metrics_pb2.Advice:
        """A piece of advice that holds now."""
        named = _NAME.fullmatch(request.name)
        if named is None:
            raise InvalidField("name", "is not databases/{database}/advice/{advice}")
        finding = await self._adviser.get(named["database"], named["advice"])
        now = Timestamp()
        now.GetCurrentTime()
        return _encode(finding, named["database"], now)


def _encode(finding: Finding, database: str, now: Timestamp) -> metrics_pb2.Advice:
    return metrics_pb2.Advice(
        name=f"{resource_name(database)}/advice/{finding.id}",
        kind=finding.kind,
        object=finding.object,
        title=finding.title,
        severity=metrics_pb2.Advice.Severity.Value(finding.severity.name),
        confidence=metrics_pb2.Advice.Confidence.Value(finding.confidence.name),
        evidence=[
            metrics_pb2.Advice.Evidence(name=each.name, value=each.value, source=each.source)
            for each in finding.evidence
        ],
        gain=finding.gain,
        risk=finding.risk,
        sql=finding.sql,
        not_known=finding.not_known,
        judge_time=now,
    )
