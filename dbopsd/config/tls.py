"""`[server.tls]`."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from dbopsd.config.values import Section


class TlsConfig(Section):
    """`[server.tls]`: TLS 1.2 and up, for gRPC and HTTP alike.

    The files are read again when they change. What then does not fit together is not taken: the
    log says so, and the certificate before it stays.
    """

    cert: Path | None = None
    """The certificate and those between it and its root, in PEM. Unset: no TLS."""

    key: Path | None = None
    """The certificate's private key, in PEM and without a passphrase."""

    client_ca: Path | None = None
    """The authorities, in PEM, that sign the certificates of clients. Unset: none is asked for."""

    require_client_cert: bool = True
    """With `client_ca`: refuse clients that show no certificate of its.

    With `false` HTTP lets them in, to show a token instead; gRPC then asks for none, for it knows
    only to demand one or to do without.
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
