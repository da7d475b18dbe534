"""Channels: what is let in, how long they may take, and what they say when they fail."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.config import ChannelConfig
from dbopsd.metrics.alerts.channels import SCHEMES, Channel, Sent, channels_of
from dbopsd.metrics.alerts.rules import Severity
from dbopsd.metrics.errors import ChannelInvalid
from tests.support.webhook import Webhook

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


def channel(url: str = "json://127.0.0.1:9/x", **config: object) -> Channel:
    return Channel("hook", ChannelConfig.model_validate({"url": url, **config}))


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as running:
        yield running


async def test_a_message_arrives(hook: Webhook) -> None:
    assert await channel(hook.url).send("a title", "line 1\nline 2", "critical") == Sent(True)
    (message,) = hook.messages
    assert (message["title"], message["message"]) == ("a title", "line 1\nline 2")
    assert message["type"] == "failure"


async def test_the_url_may_be_in_a_file_that_changes(hook: Webhook, tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("json://127.0.0.1:9/x\n")
    config = ChannelConfig.model_validate({"url_file": str(path)})
    sender = Channel("hook", config)
    assert not (await sender.send("t", "b", "info")).delivered
    path.write_text(hook.url + "\n")
    assert (await sender.send("t", "b", "info")).delivered
    path.unlink()
    sent = await sender.send("t", "b", "info")
    assert sent == Sent(False, f"url_file '{path}': No such file or directory")


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_refusal_is_said_without_the_secret(hook: Webhook, status: int) -> None:
    hook.status = status
    sent = await channel(hook.url).send("t", "b", "warning")
    assert not sent.delivered
    assert str(status) in sent.problem
    assert "s3cret" not in sent.problem
    assert hook.asked == 1, "no redirect is followed"


async def test_one_that_hangs_is_not_waited_for_and_collects_no_threads(hook: Webhook) -> None:
    hook.hang.clear()
    # Apprise itself gives up after four seconds: a message of then is a failure as well.
    sender = channel(hook.url + "?rto=60", timeout_s=1)
    assert await sender.send("first", "b", "info") == Sent(False, "no answer within 1 s")
    for _ in range(5):
        sent = await sender.send("more", "b", "info")
        assert sent == Sent(False, "it is still at the message before")
    assert hook.asked == 1
    hook.hang.set()
    async with asyncio.timeout(20):
        while not (await sender.send("last", "b", "info")).delivered:
            await asyncio.sleep(0.05)
    assert hook.titles == ["first", "last"]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "https://hooks.example.com/x",
        "syslog://localhost",
        "dbus://",
        "custom://x",
        "vapid://mailto@example.com/x?keyfile=/etc/passwd",
        "nothing",
        "",
        "json//x",
    ],
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(ChannelInvalid, match="is not allowed; there are discord"):
        channel(url).check()


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?template=/etc/passwd",
        "mailto://u:p@example.com?pgp=yes&pgppub=/etc/passwd",
        "workflows://h/w/s?TEMPLATE=/etc/passwd",
        "json://h/?attach=/etc/passwd",
    ],
)
def test_parameters_that_name_files_are_refused(url: str) -> None:
    with pytest.raises(ChannelInvalid, match="in its URL is not allowed"):
        channel(url).check()


def test_a_url_that_apprise_does_not_take_is_refused_without_its_secret() -> None:
    with pytest.raises(ChannelInvalid) as raised:
        channel("slack://a-bad-t0ken/x").check()
    assert "Apprise takes no such slack:// URL" in str(raised.value)
    assert "t0ken" not in str(raised.value)


def test_every_channel_is_checked_at_the_start() -> None:
    good = ChannelConfig.model_validate({"url": "json://h"})
    bad = ChannelConfig.model_validate({"url": "file:///x"})
    assert list(channels_of({"b": good, "a": good})) == ["a", "b"]
    with pytest.raises(ChannelInvalid, match=r"alerts\.channels\.bad"):
        channels_of({"good": good, "bad": bad})


def test_a_channel_wants_severities_and_databases() -> None:
    some = channel(min_severity="warning", databases=["main"])
    assert some.wants(Severity.CRITICAL, "main")
    assert some.wants(Severity.WARNING, "main")
    assert not some.wants(Severity.INFO, "main")
    assert not some.wants(Severity.CRITICAL, "other")
    assert channel().wants(Severity.WARNING, "other")


def test_the_documentation_has_every_scheme_and_apprise_too() -> None:
    from apprise import Apprise  # noqa: PLC0415 - it takes a while

    text = DOCS.read_text(encoding="utf-8")
    details = Apprise().details()["schemas"]
    known = {
        name
        for each in details
        for kind in ("protocols", "secure_protocols")
        for name in each[kind] or ()
    }
    for scheme in SCHEMES:
        assert f"`{scheme}://`" in text
        assert scheme in known
