"""Silences, notices and the outbox of alerts in a control store of each kind."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from dbopsd.operations.alert_records import Message, NewMessage, Notice, Silence
from dbopsd.operations.errors import RequestIdReused
from dbopsd.operations.store import alerts
from dbopsd.operations.store.store import ControlStore

SILENCE = Silence("s1", "DeadRows", "main", (("relname", "t"),), 2.0**32, "why", "alice")


def message(channel: str = "hook", title: str = "t", **changes: object) -> NewMessage:
    told = (Notice(channel, "k1", "main", "DeadRows", 0.0, "{}"),)
    return replace(NewMessage(channel, title, "b", "warning", ("k1",), told=told), **changes)  # type: ignore[arg-type]


def first(control: ControlStore, channel: str = "hook") -> Message | None:
    return next(iter(alerts.waiting(control, [channel])), None)


def test_a_silence_is_seen_by_every_process_until_it_ends(
    open_control: Callable[[], ControlStore],
) -> None:
    one, other = open_control(), open_control()
    made = alerts.create_silence(one, SILENCE, "")
    assert made == replace(SILENCE, created=made.created)
    assert abs(made.created - time.time()) < 60
    soon = replace(SILENCE, id="s2", end=time.time() + 3600)
    alerts.create_silence(one, soon, "")
    assert [each.id for each in alerts.list_silences(other)] == ["s2", "s1"]
    assert alerts.find_silence(other, "s1") == made
    assert alerts.delete_silence(other, "s1")
    assert not alerts.delete_silence(one, "s1")
    assert alerts.find_silence(one, "s1") is None
    # One that has ended is in force no more, and its id is free.
    alerts.create_silence(one, replace(SILENCE, id="s3", end=time.time() - 5), "")
    assert [each.id for each in alerts.list_silences(other)] == ["s2"]
    assert not alerts.delete_silence(one, "s3")


def test_the_same_request_twice_is_one_silence(control: ControlStore) -> None:
    made = alerts.create_silence(control, SILENCE, "r")
    assert alerts.create_silence(control, SILENCE, "r") == made
    with pytest.raises(RequestIdReused, match="silences/s1"):
        alerts.create_silence(control, replace(SILENCE, comment="other"), "r")
    assert len(alerts.list_silences(control)) == 1


def test_a_silence_asked_for_at_once_by_many_is_one(
    open_control: Callable[[], ControlStore],
) -> None:
    stores = [open_control() for _ in range(4)]
    stores[0].open()
    made: list[Silence] = []

    def create(store: ControlStore) -> None:
        made.append(alerts.create_silence(store, SILENCE, "r"))

    threads = [threading.Thread(target=create, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_messages_leave_in_their_order_and_are_tried_again(control: ControlStore) -> None:
    alerts.enqueue(control, [message(title="1"), message(title="2"), message("other", "3")])
    found = first(control)
    assert found is not None
    assert (found.title, found.attempts, found.alert_keys) == ("1", 0, ("k1",))
    assert found.due <= 0
    alerts.not_sent(control, found.id, "no answer", 60)
    # The one behind it waits as well.
    again = first(control)
    assert again is not None
    assert (again.id, again.attempts) == (found.id, 1)
    assert 30 < again.due <= 60
    other = first(control, "other")
    assert other is not None
    assert other.title == "3"
    alerts.sent(control, found.id)
    following = first(control)
    assert following is not None
    assert following.title == "2"


def test_what_a_channel_knows_changes_with_its_messages(control: ControlStore) -> None:
    alerts.enqueue(control, [message(), message("other")])
    known = {(each.channel, each.alert_key) for each in alerts.list_notices(control)}
    assert known == {("hook", "k1"), ("other", "k1")}
    (before,) = [each for each in alerts.list_notices(control) if each.channel == "hook"]
    assert abs(before.notified - time.time()) < 60
    alerts.enqueue(control, [message()])
    assert len(alerts.list_notices(control)) == 2, "told again, known once"
    alerts.enqueue(control, [message(told=(), over=("k1",))])
    assert [each.channel for each in alerts.list_notices(control)] == ["other"]
    alerts.forget_notices(control, "other", ["k1"])
    assert alerts.list_notices(control) == []


def test_what_is_told_is_kept_with_its_message_or_not_at_all(control: ControlStore) -> None:
    twice = message(told=(*message().told, *message().told))
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        alerts.enqueue(control, [message(title="good"), twice])
    assert first(control) is None
    assert alerts.list_notices(control) == []


def test_channels_that_are_gone_are_forgotten(control: ControlStore) -> None:
    alerts.enqueue(control, [message(), message("other")])
    assert alerts.forget_channels(control, ["other"]) == 1
    assert first(control) is None
    assert first(control, "other") is not None
    assert [each.channel for each in alerts.list_notices(control)] == ["other"]
