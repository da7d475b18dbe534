"""The whole configuration."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dbopsd.config.alerts import AlertsConfig
from dbopsd.config.audit import AuditConfig
from dbopsd.config.auth import AuthConfig
from dbopsd.config.databases import DatabaseConfig
from dbopsd.config.metrics import MetricsConfig
from dbopsd.config.operations import OperationsConfig
from dbopsd.config.server import ServerConfig
from dbopsd.config.telemetry import TelemetryConfig
from dbopsd.config.values import ByResourceId, Section, is_loopback

ENV_PREFIX = "DBOPSD_"
EMBEDDED_NAME = "main"
"""The name of the database if none is configured."""


class HealthConfig(Section):
    """`[health]`: the readiness of the daemon."""

    readiness_requires: Literal["all", "any", "none"] = "all"
    """Which databases must be HEALTHY or DEGRADED for `readiness`, `""` and `/readyz`."""


class Config(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
    )

    server: ServerConfig = Field(default_factory=ServerConfig)
    """Where the daemon listens and keeps its files."""

    auth: AuthConfig = Field(default_factory=AuthConfig)
    """Authentication and roles."""

    audit: AuditConfig = Field(default_factory=AuditConfig)
    """The log of calls that change something."""

    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)
    """OpenTelemetry traces and metrics, and the log."""

    health: HealthConfig = Field(default_factory=HealthConfig)
    """The readiness of the daemon."""

    metrics: MetricsConfig = Field(default_factory=MetricsConfig)
    """How databases are sampled."""

    alerts: AlertsConfig = Field(default_factory=AlertsConfig)
    """What is judged, and who hears of it."""

    operations: OperationsConfig = Field(default_factory=OperationsConfig)
    """Long-running operations and the workers that run them."""

    databases: ByResourceId[DatabaseConfig] = Field(default_factory=dict, validate_default=True)
    """The databases. None: an embedded PostgreSQL named `main`."""

    @field_validator("databases")
    @classmethod
    def _one_embedded(cls, value: dict[str, DatabaseConfig]) -> dict[str, DatabaseConfig]:
        embedded = sorted(name for name, database in value.items() if database.embedded)
        if len(embedded) > 1:
            names = " and ".join(f"'{name}'" for name in embedded)
            raise ValueError(
                f"{names} have no dsn, and only one database can be the embedded PostgreSQL: "
                "give the others a dsn"
            )
        return value or {EMBEDDED_NAME: DatabaseConfig()}

    @property
    def embedded_name(self) -> str | None:
        """The name of the database that is the embedded PostgreSQL, if there is one."""
        return next((name for name, each in self.databases.items() if each.embedded), None)

    @model_validator(mode="after")
    def _guarded_beyond_loopback(self) -> Self:
        missing = [
            what
            for what, there in (
                ("encryption ([server.tls] cert and key)", self.server.tls.enabled),
                ("authentication ([auth])", self.auth.configured),
                # Callers without a credential could change something, as if there were no
                # authentication.
                (
                    f"authentication (auth.anonymous = '{self.auth.anonymous}')",
                    not self.auth.configured or self.auth.anonymous in (None, "VIEWER"),
                ),
            )
            if not there
        ]
        for key in ("grpc_listen", "http_listen"):
            address = getattr(self.server, key)
            if missing and not self.server.insecure_listen and not is_loopback(address):
                raise ValueError(
                    f"server.{key} = '{address}' is reachable from other machines without "
                    f"{' and without '.join(missing)}: configure it, listen on 127.0.0.1, "
                    "or set server.insecure_listen = true"
                )
        return self

    @model_validator(mode="after")
    def _certificates_are_asked_for(self) -> Self:
        if self.auth.certificates and self.server.tls.client_ca is None:
            raise ValueError("auth.certificates needs server.tls.client_ca, which signs them")
        return self

    @model_validator(mode="after")
    def _grants_are_for_databases(self) -> Self:
        unknown = sorted(self.auth.database_names() - set(self.databases))
        if unknown:
            raise ValueError(f"auth grants a role on '{unknown[0]}', which is no database here")
        return self

    @model_validator(mode="after")
    def _channels_are_for_databases(self) -> Self:
        for name, channel in self.alerts.channels.items():
            unknown = sorted(set(channel.databases) - set(self.databases))
            if unknown:
                raise ValueError(
                    f"alerts.channels.{name}.databases has '{unknown[0]}', "
                    "which is no database here"
                )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_config` hands in: it merges the file and the environment itself."""
        return (init_settings,)
