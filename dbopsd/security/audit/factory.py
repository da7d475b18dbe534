"""Create the audit log from the configuration."""

from pathlib import Path

from opentelemetry._logs import Logger

from dbopsd.config import AuditConfig
from dbopsd.security.audit.files import LogFiles
from dbopsd.security.audit.journal import AuditJournal
from dbopsd.security.audit.otlp import otlp_sink
from dbopsd.security.audit.retention import Retention
from dbopsd.security.audit.writer import Writer


def configured_journal(
    config: AuditConfig, state_dir: Path, logger: Logger | None
) -> AuditJournal | None:
    """The journal to start; None where the configuration wants none.

    `logger` takes a copy of each record, where `config.otlp` asks for it and there is one.
    """
    if not config.enabled:
        return None
    writer = Writer(
        LogFiles(config.path_in(state_dir)),
        rotate_bytes=int(config.rotate_bytes),
        retention=Retention(config.keep_files, config.keep_days),
    )
    sink = otlp_sink(logger) if config.otlp and logger is not None else None
    return AuditJournal(writer, sink=sink)
