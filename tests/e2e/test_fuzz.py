"""Random requests to every method of a running daemon: it answers each, and stays itself."""

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from dbops.v1 import health_pb2 as dbops_health_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.e2e.conftest import database, run
from tests.support.daemon import Daemon
from tests.support.servers import PostgresServer
from tests.support.soak import Soak

FILES = (dbops_health_pb2, health_pb2, reflection_pb2, channelz_pb2)
METHODS = [
    method
    for module in FILES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
NEVER = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
# A watch is silent after its first answer, as it should be.
STREAM_TIMEOUT_S = 0.3
NUMBERS = (0, 1, -1, 2, 7, 100, 1000, 2**31 - 1, -(2**31), 2**62)
TEXTS = (
    "databases/main",
    "databases/x",
    "databases/",
    "",
    "*",
    "dbops.v1",
    "\0",
    "'; --",
    "é" * 99,
)
GROWTH_BYTES = 40 * 2**20


def test_random_requests(
    start_daemon: Callable[..., Daemon], server: PostgresServer, soak: Soak
) -> None:
    running = start_daemon(database("main", server.dsn()))
    numbers = soak.random()
    each = soak.scale(50, 2000)
    sizes: list[int] = []
    answers: Counter[grpc.StatusCode] = Counter()
    with grpc.insecure_channel(running.grpc_address) as channel, ThreadPoolExecutor(40) as threads:
        for _ in range(3):
            calls = [(method, requests(method, numbers)) for method in METHODS for _ in range(each)]
            numbers.shuffle(calls)
            answers.update(threads.map(lambda call: ask(channel, *call), calls))
            sizes.append(running.rss_bytes)
    assert set(answers) >= {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}, answers
    assert sizes[-1] - sizes[0] < GROWTH_BYTES, sizes
    assert run("dbops", "--server", running.grpc_address, "health", "main").code == 0
    assert running.terminate() == 0
    assert "Traceback" not in running.log_text()


def ask(channel: grpc.Channel, method: MethodDescriptor, sent: list[bytes]) -> grpc.StatusCode:
    path = f"/{method.containing_service.full_name}/{method.name}"
    streams = method.server_streaming
    call = channel.stream_stream(path)(iter(sent), timeout=STREAM_TIMEOUT_S if streams else 20)
    with contextlib.suppress(grpc.RpcError):
        for _ in call:
            pass
    code: grpc.StatusCode = call.code()
    assert code not in NEVER, (path, sent, call.details())
    assert streams or code is not grpc.StatusCode.DEADLINE_EXCEEDED, (path, sent)
    return code


def requests(method: MethodDescriptor, numbers: random.Random) -> list[bytes]:
    """What to send: a message of the right type mostly, random bytes otherwise."""

    def one() -> bytes:
        if numbers.random() < 0.3:
            return numbers.randbytes(numbers.randrange(60))
        return bytes(message(method.input_type, numbers, 2).SerializeToString())

    return [one() for _ in range(numbers.randint(1, 3) if method.client_streaming else 1)]


def message(descriptor: Any, numbers: random.Random, depth: int) -> Any:
    made = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if field.is_repeated or numbers.random() < 0.3:
            continue
        if field.message_type is not None:
            if depth:
                getattr(made, field.name).CopyFrom(message(field.message_type, numbers, depth - 1))
        elif field.type == field.TYPE_STRING:
            setattr(made, field.name, numbers.choice(TEXTS))
        elif field.type == field.TYPE_BYTES:
            setattr(made, field.name, numbers.randbytes(9))
        elif field.type == field.TYPE_BOOL:
            setattr(made, field.name, numbers.random() < 0.5)
        else:
            wide = field.type in (field.TYPE_INT64, field.TYPE_SINT64, field.TYPE_SFIXED64)
            fitting = [n for n in NUMBERS if wide or -(2**31) <= n < 2**31]
            setattr(made, field.name, numbers.choice(fitting))
    return made
