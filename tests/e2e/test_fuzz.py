"""Random requests to every method of a running daemon: it answers each, and stays itself."""

import contextlib
import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.e2e.conftest import run
from tests.support.anything import Anything
from tests.support.demo.client import DemoClient
from tests.support.demo.daemon import demo_daemon
from tests.support.servers import PostgresServer
from tests.support.soak import Soak

NEVER = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
# A watch is silent after its first answer, as it should be.
ENDLESS_S = 0.3
TEXTS = (
    *("databases/main", "databases/x", "databases/", "databases/main/schedules/nightly", "1", ""),
    *("*", "dbops.v1", "done = false", "operations", "\0", "'; --"),
)
SCHEDULE = """
[databases.main.schedules.nightly]
kind = "demo"
cron = "0 3 * * *"
"""
GROWTH_BYTES = 40 * 2**20


def test_random_requests(server: PostgresServer, soak: Soak) -> None:
    # Nobody runs the operations that are asked for: what they would do is not asked for here.
    with demo_daemon(server.dsn(), workers=0, more=SCHEDULE) as running:
        address = running.wait_until_serving().grpc_address
        with DemoClient(address, running.state_dir) as client:
            known = [*TEXTS, *(client.start() for _ in range(5))]
        numbers = soak.random()
        each = soak.scale(25, 1000)
        sizes: list[int] = []
        answers: Counter[grpc.StatusCode] = Counter()
        with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(40) as threads:
            methods = methods_of(channel)
            anything = Anything(numbers, known)
            for _ in range(4):
                calls = [
                    (method, requests(method, anything, numbers))
                    for method in methods
                    for _ in range(each)
                ]
                numbers.shuffle(calls)
                answers.update(threads.map(lambda call: ask(channel, *call), calls))
                sizes.append(running.rss_bytes)
        assert set(answers) >= {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}, answers
        assert sizes[-1] - sizes[0] < GROWTH_BYTES, sizes
        answer = run("dbops", "--server", address, "health", "main", "--output", "json")
        assert answer.code in (0, 1), answer
        assert json.loads(answer.out)["name"] == "databases/main"
        assert running.terminate() == 0
        assert "Traceback" not in running.log_text()


def methods_of(channel: grpc.Channel) -> list[MethodDescriptor]:
    """Every method of every service that the daemon says it has."""
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    services = sorted(database.get_services())
    ours = {f"dbops.v1.{name}Service" for name in ("Operations", "Migrate", "Metrics")}
    assert ours <= {*services}, services
    return [method for name in services for method in pool.FindServiceByName(name).methods]


def ask(channel: grpc.Channel, method: MethodDescriptor, sent: list[bytes]) -> grpc.StatusCode:
    path = f"/{method.containing_service.full_name}/{method.name}"
    endless = method.server_streaming or method.name == "WaitOperation"
    call: Any = channel.stream_stream(path)(iter(sent), timeout=ENDLESS_S if endless else 20)
    with contextlib.suppress(grpc.RpcError):
        for _ in call:
            pass
    code: grpc.StatusCode = call.code()
    assert code not in NEVER, (path, sent, call.details())
    assert endless or code is not grpc.StatusCode.DEADLINE_EXCEEDED, (path, sent)
    return code


def requests(method: MethodDescriptor, anything: Anything, numbers: random.Random) -> list[bytes]:
    """What to send: a message of the right type mostly, random bytes otherwise."""

    def one() -> bytes:
        if numbers.random() < 0.3:
            return numbers.randbytes(numbers.randrange(60))
        return bytes(anything.message(method.input_type).SerializeToString())

    return [one() for _ in range(numbers.randint(1, 3) if method.client_streaming else 1)]
