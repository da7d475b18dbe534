"""Where servicers are registered: each of their methods is wrapped, once, on its way to gRPC."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from dbopsd.errors import MethodNotFound
from dbopsd.rpc import call_adapters
from dbopsd.rpc.audit_interceptor import CallAudit
from dbopsd.rpc.auth_interceptor import CallAuthorisation
from dbopsd.rpc.errors import answering_stream, answering_unary
from dbopsd.rpc.first_request import FirstRequest
from dbopsd.rpc.methods import Method, describe
from dbopsd.rpc.tracing import CallTracing
from dbopsd.rpc.validation import compile_validator

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Registrar(grpc.GenericRpcHandler):
    """Stands in for the server in the generated `add_…Servicer_to_server(servicer, server)`.

    grpc.aio's own interceptors are asked anew at every call, and see bytes that could not be
    decoded only as UNKNOWN; wrapping each method when it is registered costs nothing at a call.

    It is then the server's only handler. Registering the methods with grpc.aio one by one makes
    each call dearer by a task for every method there is (measured: +16 % with 60 of them).
    """

    def __init__(
        self,
        services: Iterable[ServiceDescriptor],
        tracing: CallTracing,
        authorising: CallAuthorisation,
        audit: CallAudit,
        first_request: FirstRequest,
    ) -> None:
        self._methods = describe(services)
        self._tracing = tracing
        self._authorising = authorising
        self._audit = audit
        self._first_request = first_request
        self._handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Nothing: the generated code hands the same methods in below, by their names."""

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, Handler]
    ) -> None:
        """Wrap and keep the methods of a service."""
        for name, handler in method_handlers.items():
            method = self._methods[f"/{service_name}/{name}"]
            self._handlers[method.path] = self._wrap(method, handler)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """The handler of a call; one that answers UNIMPLEMENTED where nothing serves it."""
        path = handler_call_details.method
        return self._handlers.get(path) or self._unserved(path.removeprefix("/"))

    def _unserved(self, full_name: str) -> Handler:
        async def refuse(_requests: Any, _context: Any, _send: call_adapters.Send) -> None:
            raise MethodNotFound(full_name)

        answer = answering_stream(full_name, refuse)
        return grpc.stream_stream_rpc_method_handler(
            self._tracing.stream(full_name, answer, served=False)
        )

    def _wrap(self, method: Method, handler: Handler) -> Handler:
        # From the outside in: the span, the answers to errors, the wait for the request, the record
        # of the end, who may call, what requests must be, the record before the servicer is called.
        check = call_adapters.checked(method, compile_validator(method.request_type))
        decode = call_adapters.decoder(handler)
        encode = handler.response_serializer
        handler = self._audit.admitting(method, handler)
        if handler.response_streaming:
            pump = self._authorising.stream(method, call_adapters.stream_call(handler, check))
            pump = self._audit.stream(method, pump)
            if not handler.request_streaming:
                pump = self._first_request.stream(method.full_name, pump)
            pump = answering_stream(method.full_name, pump, foreign=not method.own)
            stream = self._tracing.stream(method.full_name, pump)
            return grpc.stream_stream_rpc_method_handler(stream, decode, encode)
        call = self._authorising.unary(method, call_adapters.unary_call(handler, check))
        call = self._audit.unary(method, call)
        if not handler.request_streaming:
            call = self._first_request.unary(method.full_name, call)
        call = answering_unary(method.full_name, call, foreign=not method.own)
        unary = self._tracing.unary(method.full_name, call)
        return grpc.stream_unary_rpc_method_handler(unary, decode, encode)
