"""A line and what holds it to the one before."""

import hashlib
import json
import re
import subprocess

import pytest

from dbopsd.security.audit import chain
from dbopsd.security.audit.chain import GENESIS, Link, NotARecord, seal, unseal
from dbopsd.security.audit.record import timestamp
from tests.support.auditlog import call, result


def test_a_line_is_read_back_as_it_was_written():
    line, link = seal(call(7, time="2026-01-02T03:04:05.000006Z", request_id="r-1"), GENESIS)
    sealed = unseal(line)
    assert (sealed.link, sealed.previous, sealed.event) == (link, GENESIS.hash, "call")
    assert link.sequence == 1
    assert {**sealed.fields} == {
        "sequence": 1,
        "time": "2026-01-02T03:04:05.000006Z",
        "event": "call",
        "call": f"{7:032x}",
        "caller": "ann",
        "authenticated": "token",
        "peer": "127.0.0.1:5000",
        "method": "dbops.v1.BackupService/CreateBackup",
        "resource": {"parent": "databases/main"},
        "request_id": "r-1",
        "validate_only": False,
        "trace_id": "",
        "previous": GENESIS.hash,
    }


def test_sha256sum_is_enough_to_check_a_line():
    line, link = seal(result(status="ABORTED", reason="OPERATION_IN_THE_WAY"), Link(41, "a" * 64))
    hashed = re.sub(rb',"hash":"[0-9a-f]*"\}\n$', b"", line)
    done = subprocess.run(["sha256sum"], input=hashed, capture_output=True, check=True)
    assert done.stdout.decode().split()[0] == link.hash == json.loads(line)["hash"]


def test_text_of_any_kind_stays_in_one_line_of_ascii():
    line, _ = seal(call(caller='Zoë\n"\u2028\x00'), GENESIS)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert unseal(line).fields["caller"] == 'Zoë\n"\u2028\x00'


def test_the_hash_depends_on_the_line_before():
    record = call()
    assert seal(record, Link(1, "a" * 64))[1].hash != seal(record, Link(1, "b" * 64))[1].hash


def hashed(text: bytes) -> bytes:
    return b'%s,"hash":"%s"}\n' % (text, hashlib.sha256(text).hexdigest().encode())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "no hash"),
        (b"\n", "no hash"),
        (b"{}\n", "no hash"),
        (b"x" * chain.MAX_LINE_BYTES + b"\n", "longer"),
        (hashed(b"x"), "not JSON"),
        (hashed(b'{"sequence":true,"event":"call","previous":""'), "without a sequence"),
        (hashed(b'{"sequence":1,"event":"call"'), "without a sequence"),
        (hashed(b'{"sequence":1,"event":"call","previous":""')[:-1], "no hash"),
        (hashed(b'{"a":1').replace(b"1", b"2", 1), "does not match"),
    ],
)
def test_what_is_no_record_is_told_apart(line, problem):
    with pytest.raises(NotARecord, match=problem):
        unseal(line)


def test_times_are_exact():
    assert timestamp(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456Z"
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
