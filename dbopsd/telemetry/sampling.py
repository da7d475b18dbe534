"""The sampler: which spans are recorded."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes


class LinkedOrElse(Sampler):
    """A root span that links to another is kept where the other was, else as `otherwise` says.

    The span that says how a long stream ended is a trace of its own: drawn by lot, it would be
    missing for streams whose start was kept.
    """

    def __init__(self, otherwise: Sampler) -> None:
        self._otherwise = otherwise

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide for one span."""
        if links:
            kept = links[0].context.trace_flags.sampled
            return SamplingResult(
                Decision.RECORD_AND_SAMPLE if kept else Decision.DROP, attributes if kept else None
            )
        return self._otherwise.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """A name for logs."""
        return f"LinkedOrElse{{{self._otherwise.get_description()}}}"


def keep_ratio(ratio: float) -> Sampler:
    """Keep `ratio` (0 to 1) of new traces; follow the caller's decision where there is one."""
    root = ALWAYS_ON if ratio >= 1 else TraceIdRatioBased(ratio)
    return ParentBased(LinkedOrElse(root))
