"""Identify a caller by the names in a client certificate, which TLS has verified."""

from collections.abc import Iterable, Mapping
from typing import Any

from dbopsd.config import CertificateConfig
from dbopsd.security.caller import Caller, Role
from dbopsd.security.errors import CertificateUnknown
from dbopsd.security.tokens import grants


class Certificates:
    """The names that are known."""

    def __init__(self, config: Mapping[str, CertificateConfig]) -> None:
        self._by_name = {
            name: Caller(
                name,
                None if certificate.role is None else Role[certificate.role],
                grants(certificate.databases),
                "certificate",
            )
            for name, certificate in config.items()
        }

    @property
    def known(self) -> bool:
        """Whether there is any."""
        return bool(self._by_name)

    def find(self, names: Iterable[str]) -> Caller:
        """Whose certificate it is that has these names. Raises `CertificateUnknown`."""
        for name in names:
            caller = self._by_name.get(name)
            if caller is not None:
                return caller
        raise CertificateUnknown


def names_of(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """The DNS and URI names and then the common name of what `SSLSocket.getpeercert()` gives."""
    alternative = [
        value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI")
    ]
    common = [
        value
        for part in certificate.get("subject", ())
        for kind, value in part
        if kind == "commonName"
    ]
    return (*alternative, *common)
