"""A gRPC server on a real port whose MetricsService answers what a test puts in."""

import asyncio
import functools

import grpc
import grpc.aio
from dbops.v1 import metrics_pb2, metrics_pb2_grpc

from tests.support.loopthread import LoopThread
from tests.unit.client.messages import status_details

METHODS = metrics_pb2.DESCRIPTOR.services_by_name["MetricsService"].methods


class Failure(Exception):
    """An answer that is an error of the service."""

    def __init__(self, code, message, reason="", metadata=None):
        super().__init__(message)
        self.code, self.message = grpc.StatusCode[code], message
        self.details = status_details(self.code, message, reason, metadata) if reason else ()


class MetricsServer:
    """It runs in a thread of its own; its public methods may be called from any thread.

    Each call is kept in `calls` as (method, request, metadata). `answers` has the next answers of a
    method, messages or `Failure`s: a unary call takes one, of which the last is given for ever; a
    stream takes all of them, and stays open unless a `Failure` ends it.
    """

    def __init__(self):
        self.calls = []
        self.answers = {}
        self.port = 0
        self._server = None
        self._thread = LoopThread("metrics server")
        self._open = asyncio.Event()

    @property
    def target(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self._thread.run(self._start())

    def close(self):
        self._thread.run(self._server.stop(None))
        self._thread.close()

    def answer(self, method, *answers):
        self.answers[method] = list(answers)

    def sent(self, method):
        """The only request of `method` so far."""
        (request,) = (request for name, request, _ in self.calls if name == method)
        return request

    async def _start(self):
        servicer = metrics_pb2_grpc.MetricsServiceServicer()
        for method in METHODS:
            how = self._stream if method.server_streaming else self._unary
            setattr(servicer, method.name, functools.partial(how, method.name))
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        metrics_pb2_grpc.add_MetricsServiceServicer_to_server(servicer, self._server)
        self.port = self._server.add_insecure_port(self.target)
        await self._server.start()

    async def _unary(self, method, request, context):
        self._note(method, request, context)
        answers = self.answers[method]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Failure):
            await context.abort(answer.code, answer.message, answer.details)
        return answer

    async def _stream(self, method, request, context):
        self._note(method, request, context)
        while self.answers[method]:
            answer = self.answers[method].pop(0)
            if isinstance(answer, Failure):
                await context.abort(answer.code, answer.message, answer.details)
            await context.write(answer)
        await self._open.wait()

    def _note(self, method, request, context):
        self.calls.append((method, request, dict(context.invocation_metadata())))
