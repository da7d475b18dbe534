"""The certificate of the listeners: read, checked, and reloaded when its files change."""

import logging
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from dbopsd.config import TlsConfig
from dbopsd.errors import ConfigurationError
from dbopsd.security.files import signature

_log = logging.getLogger(__name__)

_DAY_S: Final = 86_400.0
# Let's Encrypt renews 30 days before the end, most others later.
_WARN_S: Final = 14 * _DAY_S


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What one handshake needs, all of one moment. PEM; the key is a secret."""

    chain: bytes
    key: bytes
    client_ca: bytes | None
    context: ssl.SSLContext
    """The same, ready for HTTP."""

    expires_at: float
    """When the certificate ends, in seconds since 1970."""

    def __repr__(self) -> str:
        # A dataclass's own would show the key.
        return f"TlsMaterial(expires_at={self.expires_at:.0f})"


class Tls:
    """The material in use. `clock` gives seconds since 1970."""

    def __init__(
        self, config: TlsConfig, material: TlsMaterial, clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._clock = clock
        self._signature = signature(_paths(config))
        self._said_at = 0.0
        self.current = material
        self._say_when_it_ends()

    @classmethod
    def load(cls, config: TlsConfig, clock: Callable[[], float] = time.time) -> "Tls":
        """Read the files. Raises `ConfigurationError`, which names the key and the cause."""
        return cls(config, read_material(config), clock)

    @property
    def demands_client_certificates(self) -> bool:
        """Whether a client that shows none is refused."""
        return self._config.client_ca is not None and self._config.require_client_cert

    def refresh(self) -> None:
        """Take the files' present content if they have changed and fit together. Blocks."""
        self._say_when_it_ends()
        present = signature(_paths(self._config))
        if present == self._signature:
            return
        # Kept even when the files are no good, or each look would say so again. They are bound to
        # change once more then: the half that is missing gets written.
        self._signature = present
        try:
            self.current = read_material(self._config)
        except ConfigurationError as exc:
            _log.warning("the changed certificate is not taken, the one before it stays: %s", exc)
            return
        _log.info("the changed certificate is in use for new connections")
        self._said_at = 0.0
        self._say_when_it_ends()

    def server_context(self) -> ssl.SSLContext:
        """A context whose handshakes each use the material that is current then."""
        now = self.current
        context = _context(self._config, now.chain, now.key, now.client_ca)

        def use_the_current(handshake: ssl.SSLObject, *_: object) -> None:
            handshake.context = self.current.context

        # Called in every handshake, whether or not the client names the host that it wants.
        context.sni_callback = use_the_current
        return context

    def _say_when_it_ends(self) -> None:
        now = self._clock()
        left_s = self.current.expires_at - now
        if left_s > _WARN_S or now - self._said_at < _DAY_S:
            return
        self._said_at = now
        if left_s <= 0:
            _log.error("the certificate %s has expired: clients refuse it", self._config.cert)
        else:
            _log.warning(
                "the certificate %s expires in %.1f days", self._config.cert, left_s / _DAY_S
            )


def read_material(config: TlsConfig) -> TlsMaterial:
    """Read the files and try them out. Raises `ConfigurationError`."""
    if config.cert is None or config.key is None:
        raise ConfigurationError("server.tls", "has no cert and key")
    chain, key = _read("cert", config.cert), _read("key", config.key)
    client_ca = None if config.client_ca is None else _read("client_ca", config.client_ca)
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError:
        raise ConfigurationError(
            "server.tls.cert", f"'{config.cert}' is no certificate in PEM"
        ) from None
    return TlsMaterial(
        chain=chain,
        key=key,
        client_ca=client_ca,
        context=_context(config, chain, key, client_ca),
        expires_at=certificates[0].not_valid_after_utc.timestamp(),
    )


def _paths(config: TlsConfig) -> list[Path]:
    return [path for path in (config.cert, config.key, config.client_ca) if path is not None]


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        problem = f"'{path}' cannot be read: {(exc.strerror or 'unknown').lower()}"
        raise ConfigurationError(f"server.tls.{name}", problem) from None


def _context(
    config: TlsConfig, chain: bytes, key: bytes, client_ca: bytes | None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A resumed session would be one that an authority since taken out had let in.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_pair(context, config, chain, key)
    if client_ca is not None:
        try:
            context.load_verify_locations(cadata=client_ca.decode("ascii"))
        except (ssl.SSLError, ValueError):
            problem = f"'{config.client_ca}' has no certificate in PEM"
            raise ConfigurationError("server.tls.client_ca", problem) from None
        demanded = config.require_client_cert
        context.verify_mode = ssl.CERT_REQUIRED if demanded else ssl.CERT_OPTIONAL
    return context


def _load_pair(context: ssl.SSLContext, config: TlsConfig, chain: bytes, key: bytes) -> None:
    """Load exactly these bytes. OpenSSL takes files only, which may change between two readings."""
    descriptor = os.memfd_create("dbopsd-tls", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as memory:
            memory.write(chain + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_passphrase)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            problem = f"'{config.key}' is not the key of the certificate '{config.cert}'"
        else:
            problem = f"'{config.key}' is no private key in PEM, or '{config.cert}' no certificate"
        raise ConfigurationError("server.tls.key", problem) from None
    except _PassphraseAskedFor:
        problem = f"'{config.key}' is locked with a passphrase, which nobody is there to type"
        raise ConfigurationError("server.tls.key", problem) from None
    finally:
        os.close(descriptor)


class _PassphraseAskedFor(Exception):
    pass


def _no_passphrase() -> str:
    # In place of OpenSSL's own, which asks on the terminal.
    raise _PassphraseAskedFor
