"""Channels: where alerts are sent, by Apprise.

Apprise blocks, and knows services that read local files or run programs. Here only the documented
schemes are let in, without the parameters that name files, and each message is sent by a thread of
its own that nobody waits for longer than the channel's timeout.
"""

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from dbopsd.config import ChannelConfig
from dbopsd.metrics.alerts.rules import Severity
from dbopsd.metrics.errors import ChannelInvalid

SCHEMES: Final = frozenset(
    {
        *("json", "jsons", "mailto", "mailtos", "slack", "workflows", "discord", "tgram"),
        *("ntfy", "ntfys", "gotify", "gotifys", "mmost", "mmosts", "rocket", "rockets", "gchat"),
        *("webex", "zulip", "pover", "pagerduty", "opsgenie", "splunk"),
    }
)
"""The schemes of URLs that are let in, as `docs/metrics.md` has them."""

# They name files here, or keys and templates in files.
_FORBIDDEN: Final = frozenset(
    {
        *("template", "pgp", "pgppub", "pgpprv", "pgpkey", "wkd", "key", "keyfile"),
        *("attach", "file", "cert", "store", "include"),
    }
)
_TYPES: Final[Mapping[str, str]] = {
    "info": "info",
    "warning": "warning",
    "critical": "failure",
    "resolved": "success",
}
_SECRET: Final = re.compile(r"[^/:@?&=,#\s]{4,}")
_LONGEST_PROBLEM: Final = 300


@dataclass(frozen=True, slots=True)
class Sent:
    """Whether a channel took a message. `problem` says why not, for people, without a secret."""

    delivered: bool
    problem: str = ""


class Channel:
    """One channel of the configuration; one message at a time."""

    def __init__(self, name: str, config: ChannelConfig) -> None:
        self.name = name
        self.config = config
        self.min_severity = Severity[config.min_severity.upper()]
        self._turn = asyncio.Lock()
        self._sending = False

    def check(self) -> None:
        """Raise `ChannelInvalid` for a URL that cannot be used."""
        _service(self.name, self._url())

    def wants(self, severity: Severity, database: str) -> bool:
        """Whether it is for alerts of that severity and database."""
        databases = self.config.databases
        return severity >= self.min_severity and (not databases or database in databases)

    async def send(self, title: str, body: str, severity: str) -> Sent:
        """Send a message, and wait for at most the channel's timeout.

        A send that takes longer goes on in its thread, and may arrive all the same; until it has
        ended the channel takes no other, so that a receiver that hangs collects no threads.
        """
        async with self._turn:
            if self._sending:
                return Sent(False, "it is still at the message before")
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[Sent] = loop.create_future()

            def work() -> None:
                found = self._send(title, body, severity)
                # The loop may be gone by now, with the daemon.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._ended, answer, found)

            self._sending = True
            # A daemon thread: one that hangs does not keep the process.
            threading.Thread(target=work, name=f"alerts-{self.name}", daemon=True).start()
            try:
                async with asyncio.timeout(self.config.timeout_s):
                    return await answer
            except TimeoutError:
                return Sent(False, f"no answer within {self.config.timeout_s:g} s")

    def _ended(self, answer: "asyncio.Future[Sent]", found: Sent) -> None:
        self._sending = False
        if not answer.done():
            answer.set_result(found)

    def _send(self, title: str, body: str, severity: str) -> Sent:
        url = ""
        try:
            url = self._url()
            return _sent(_service(self.name, url), url, title, body, _TYPES[severity])
        except ChannelInvalid as error:
            return Sent(False, error.why)
        except Exception as error:  # noqa: BLE001 - whatever a service raises, it was not sent
            return Sent(False, _clean(f"{type(error).__name__}: {error}", url))

    def _url(self) -> str:
        if self.config.url is not None:
            return self.config.url.get_secret_value().strip()
        path = self.config.url_file
        assert path is not None  # noqa: S101 - one of both is set
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            cause = getattr(error, "strerror", None) or "is not UTF-8"
            raise ChannelInvalid(self.name, f"url_file '{path}': {cause}") from None


def channels_of(configured: Mapping[str, ChannelConfig]) -> dict[str, Channel]:
    """The channels by name. Raises `ChannelInvalid`."""
    channels = {name: Channel(name, config) for name, config in sorted(configured.items())}
    for channel in channels.values():
        channel.check()
    return channels


def _service(name: str, url: str) -> Any:
    """Apprise's service for a URL. Raises `ChannelInvalid`, which never quotes it."""
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        known = ", ".join(sorted(SCHEMES))
        shown = scheme if re.fullmatch(r"[a-z0-9]{1,20}", scheme) else "its"
        raise ChannelInvalid(name, f"the scheme '{shown}' is not allowed; there are {known}")
    try:
        asked = {key.lower() for key, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    except ValueError:
        raise ChannelInvalid(name, "its URL is malformed") from None
    forbidden = sorted(asked & _FORBIDDEN)
    if forbidden:
        raise ChannelInvalid(name, f"the parameter '{forbidden[0]}' in its URL is not allowed")
    # It takes a third of a second, and only daemons with channels need it.
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415

    # It quotes tokens in what it logs about a URL: that goes no further than its results.
    quiet = logging.getLogger("apprise")
    quiet.propagate = False
    if not quiet.handlers:
        quiet.addHandler(logging.NullHandler())
    asset = AppriseAsset(service_timeout=0, storage_mode="memory", allow_templates=False)
    # Or a receiver could send us on to where only we get.
    asset.http_redirects = False
    try:
        service = Apprise.instantiate(url, asset=asset, suppress_exceptions=False)
    except Exception:  # noqa: BLE001 - each service has errors of its own, which quote tokens
        service = None
    if service is None:
        raise ChannelInvalid(name, f"Apprise takes no such {scheme}:// URL: see its documentation")
    return service


def _sent(service: Any, url: str, title: str, body: str, kind: str) -> Sent:
    from apprise import Apprise  # noqa: PLC0415

    sender = Apprise(asset=service.asset)
    sender.add(service)
    result = sender.notify(body=body, title=title, notify_type=kind, body_format="text")
    try:
        if result:
            return Sent(True)
        said = [line.message for each in result.results for line in each.logs()]
        return Sent(False, _clean(" ".join(said) or "it was not taken", url))
    finally:
        result.close()


def _clean(text: str, url: str) -> str:
    """A problem in one line without what stands in the URL, but for its host."""
    host = urlsplit(url).hostname or ""
    for secret in sorted(set(_SECRET.findall(url)), key=len, reverse=True):
        if secret.lower() not in (host, url.partition("://")[0].lower()):
            text = text.replace(secret, "…")
    return " ".join(text.split())[:_LONGEST_PROBLEM]
