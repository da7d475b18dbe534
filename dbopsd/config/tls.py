"""`[server.tls]`."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from dbopsd.config.values import Section


class TlsConfig(Section):
    """`[server.tls]`: TLS 1.2 or later, for both gRPC and HTTP.

    The files are reloaded when they change. If certificate and key do not match, dbopsd logs this
    and keeps the previous certificate.
    """

    cert: Path | None = None
    """The certificate and its intermediate certificates, in PEM. Unset: no TLS."""

    key: Path | None = None
    """The private key of the certificate, in PEM, without a passphrase."""

    client_ca: Path | None = None
    """The CAs of client certificates, in PEM. Unset: no client certificate is requested."""

    require_client_cert: bool = True
    """With `client_ca`: reject clients without a certificate from these CAs.

    If false, HTTP accepts them with a token instead. gRPC then requests no certificate, because it
    can only require one or ignore it.
    """

    @property
    def enabled(self) -> bool:
        """Whether the listeners speak TLS."""
        return self.cert is not None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("needs cert and key together")
        if self.client_ca is not None and self.cert is None:
            raise ValueError("has client_ca without cert and key")
        return self
