"""The tables of the configuration and their paths."""

from collections.abc import Iterator

from pydantic import BaseModel

from dbopsd.config.alerts import AlertsConfig, ChannelConfig, DatabaseAlertsConfig, RuleConfig
from dbopsd.config.audit import AuditConfig
from dbopsd.config.auth import AuthConfig, CertificateConfig, JwtConfig, TokenConfig
from dbopsd.config.backup import BackupKeysConfig, DatabaseBackupConfig, RetentionConfig
from dbopsd.config.databases import (
    DatabaseConfig,
    DatabaseHealthConfig,
    PoolConfig,
    ThresholdConfig,
)
from dbopsd.config.metrics import DatabaseMetricsConfig, HistoryConfig, MetricsConfig
from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.config.operations import OperationsConfig, ScheduleConfig
from dbopsd.config.root import HealthConfig
from dbopsd.config.server import ServerConfig
from dbopsd.config.telemetry import TelemetryConfig
from dbopsd.config.tls import TlsConfig


def sections() -> Iterator[tuple[type[BaseModel], str]]:
    """Each section of the configuration with its key path, in the order of the file.

    The path of one that there may be several of, `[[path]]` in TOML, is in brackets.
    """
    yield ServerConfig, "server"
    yield TlsConfig, "server.tls"
    yield AuthConfig, "auth"
    yield TokenConfig, "auth.tokens.NAME"
    yield JwtConfig, "auth.jwt"
    yield CertificateConfig, "auth.certificates.NAME"
    yield AuditConfig, "audit"
    yield TelemetryConfig, "telemetry"
    yield HealthConfig, "health"
    yield MetricsConfig, "metrics"
    yield HistoryConfig, "metrics.history"
    yield AlertsConfig, "alerts"
    yield RuleConfig, "alerts.rules.RULE"
    yield ChannelConfig, "alerts.channels.CHANNEL"
    yield OperationsConfig, "operations"
    yield DatabaseConfig, "databases.NAME"
    yield PoolConfig, "databases.NAME.pool"
    yield DatabaseHealthConfig, "databases.NAME.health"
    yield DatabaseMetricsConfig, "databases.NAME.metrics"
    yield DatabaseAlertsConfig, "databases.NAME.alerts"
    yield RuleConfig, "databases.NAME.alerts.rules.RULE"
    yield DatabaseBackupConfig, "databases.NAME.backup"
    yield BackupKeysConfig, "databases.NAME.backup.keys"
    yield RetentionConfig, "databases.NAME.backup.retention"
    yield MigrationSetConfig, "[databases.NAME.migrations_dir]"
    yield DatabaseMigrationsConfig, "databases.NAME.migrations"
    yield ScheduleConfig, "databases.NAME.schedules.SCHEDULE"
    yield ThresholdConfig, "databases.NAME.health.thresholds.CHECK"
