"""The configuration of a daemon under measurement."""

import json
from pathlib import Path


def configuration(state_dir: Path, dsn: str, *, otlp_endpoint: str | None = None) -> str:
    """As JSON: free ports, one database `main`, everything else as it comes."""
    return json.dumps(
        {
            "server": {
                "grpc_listen": "127.0.0.1:0",
                "http_listen": "127.0.0.1:0",
                "state_dir": str(state_dir),
            },
            "telemetry": {"otlp_endpoint": otlp_endpoint},
            "databases": {"main": {"dsn": dsn}},
        }
    )
