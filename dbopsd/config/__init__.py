"""The configuration: one TOML file, every key also as `DBOPSD_…` in the environment.

It is read and checked once at start. Nothing else in dbopsd reads the environment. The text under
each key is its documentation: `dbopsd config-reference` prints it.
"""

from dbopsd.config.alerts import AlertsConfig, ChannelConfig, DatabaseAlertsConfig, RuleConfig
from dbopsd.config.audit import AuditConfig
from dbopsd.config.auth import (
    AuthConfig,
    CertificateConfig,
    JwtConfig,
    RoleName,
    TokenConfig,
)
from dbopsd.config.databases import (
    DatabaseConfig,
    DatabaseHealthConfig,
    PoolConfig,
    ThresholdConfig,
)
from dbopsd.config.load import load_config
from dbopsd.config.metrics import DatabaseMetricsConfig, HistoryConfig, MetricsConfig
from dbopsd.config.operations import OperationsConfig, ScheduleConfig
from dbopsd.config.origins import CONFIG_FILE_VARIABLE
from dbopsd.config.root import ENV_PREFIX, Config, HealthConfig
from dbopsd.config.sections import sections
from dbopsd.config.server import ServerConfig
from dbopsd.config.telemetry import TelemetryConfig
from dbopsd.config.tls import TlsConfig
from dbopsd.config.values import split_listen_address

__all__ = [
    "CONFIG_FILE_VARIABLE",
    "ENV_PREFIX",
    "AlertsConfig",
    "AuditConfig",
    "AuthConfig",
    "CertificateConfig",
    "ChannelConfig",
    "Config",
    "DatabaseAlertsConfig",
    "DatabaseConfig",
    "DatabaseHealthConfig",
    "DatabaseMetricsConfig",
    "HealthConfig",
    "HistoryConfig",
    "JwtConfig",
    "MetricsConfig",
    "OperationsConfig",
    "PoolConfig",
    "RoleName",
    "RuleConfig",
    "ScheduleConfig",
    "ServerConfig",
    "TelemetryConfig",
    "ThresholdConfig",
    "TlsConfig",
    "TokenConfig",
    "load_config",
    "sections",
    "split_listen_address",
]
