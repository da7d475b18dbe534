"""The server's side of a grpcio-testing channel, played by threads."""

import queue
import threading

import grpc
import grpc_testing
from dbops.v1 import health_pb2

SERVICE = health_pb2.DESCRIPTOR.services_by_name["HealthService"]
_METHODS = SERVICE.methods_by_name
OK = (grpc.StatusCode.OK, "", ())


class PlayedServer:
    """Answers unary calls with `healths` and `databases`; hands out streams to the test.

    `failure`, where set, is the (code, message, trailing metadata) of every unary answer.
    """

    def __init__(self):
        self.channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
        self.databases = []
        self.healths = {}
        self.failure = None
        self.calls = []
        self.streams = queue.Queue()
        for play in (self._list_databases, self._get_health, self._watch_health):
            # The channel cannot be told to stop: a thread waits in take_… until the tests end.
            threading.Thread(target=play, daemon=True).start()

    def next_stream(self):
        """The request, metadata and server's side of the next WatchHealth call."""
        return self.streams.get(timeout=10)

    def end_stream(self, code, message="", trailing_metadata=()):
        """Answer the next WatchHealth call with an end, and no message."""
        _, _, stream = self.next_stream()
        stream.terminate(trailing_metadata, code, message)

    def send_and_end(self, *responses):
        """Answer the next WatchHealth call with messages and an orderly end."""
        request, _, stream = self.next_stream()
        for response in responses:
            stream.send_response(response)
        stream.terminate((), grpc.StatusCode.OK, "")
        return request

    def _list_databases(self):
        while True:
            request, rpc = self._take("ListDatabases")
            start = int(request.page_token or 0)
            end = start + (request.page_size or 100)
            self._answer(
                rpc,
                health_pb2.ListDatabasesResponse(
                    databases=self.databases[start:end],
                    next_page_token=str(end) if end < len(self.databases) else "",
                ),
            )

    def _get_health(self):
        while True:
            request, rpc = self._take("GetHealth")
            self._answer(rpc, self.healths.get(request.name, health_pb2.DatabaseHealth()))

    def _watch_health(self):
        while True:
            metadata, request, rpc = self.channel.take_unary_stream(_METHODS["WatchHealth"])
            self.streams.put((request, dict(metadata), rpc))

    def _take(self, method):
        metadata, request, rpc = self.channel.take_unary_unary(_METHODS[method])
        self.calls.append((method, request, dict(metadata)))
        return request, rpc

    def _answer(self, rpc, response):
        code, message, trailing_metadata = self.failure or OK
        rpc.terminate(response, trailing_metadata, code, message)
