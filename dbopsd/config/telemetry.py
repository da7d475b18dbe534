"""`[telemetry]`."""

import re
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from dbopsd.config.values import Ratio, Seconds, Section


class TelemetryConfig(Section):
    """`[telemetry]`: OpenTelemetry traces and metrics, and the log."""

    otlp_endpoint: str | None = None
    """The URL for traces and metrics, such as `http://localhost:4317`. Unset: nothing is
    exported."""

    otlp_protocol: Literal["grpc", "http/protobuf"] = "grpc"
    """The protocol. With `http/protobuf`, `/v1/traces` and `/v1/metrics` are appended to the
    URL."""

    otlp_headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Additional headers, such as an API key. Secret."""

    @field_validator("otlp_headers")
    @classmethod
    def _header_text(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, text in value.items():
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
                raise ValueError("has a name that is none of a header: letters, digits and -_.")
            if not text.get_secret_value().isprintable():
                raise ValueError(f"has a value for '{name}' with line breaks or control characters")
        return value

    otlp_timeout_s: Seconds = 10.0
    """How long one export may take, in seconds. Requests never wait for it."""

    otlp_temporality: Literal["cumulative", "delta"] = "cumulative"
    """What counters and histograms have in OTLP: what was counted since the start, or since the
    last export. DataDog and New Relic want `delta`."""

    service_name: str = "dbopsd"
    """The resource attribute `service.name`."""

    resource_attributes: dict[str, str] = Field(default_factory=dict)
    """More resource attributes, such as `deployment.environment.name`."""

    sample_ratio: Ratio = 1.0
    """The share of new traces that are sampled, 0 to 1. A caller's sampling decision is
    respected."""

    trace_health_checks: bool = False
    """Create a span for each call of `grpc.health.v1`.

    If false, a call without a caller's trace has a span only if it fails, because load balancers
    and Kubernetes call every few seconds. Metrics count all calls.
    """

    metrics_interval_s: Seconds = 15.0
    """How often metrics are exported, in seconds."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The minimum level of log lines on standard error."""

    log_format: Literal["text", "json"] = "text"
    """`text` for people, or `json`: one object per line, with trace and span ID."""

    @field_validator("otlp_endpoint")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/\s@]+(/\S*)?", value):
            raise ValueError("is not a URL such as http://localhost:4317, without credentials")
        return value
