"""A gRPC server on a real port that keeps operations, schedules and workers in memory."""

import asyncio
import uuid

import grpc
import grpc.aio
from dbops.v1 import (
    migrate_pb2_grpc,
    migrations_pb2,
    operations_pb2,
    operations_pb2_grpc,
)
from google.longrunning import operations_pb2 as longrunning_pb2
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc
from google.protobuf import empty_pb2

from tests.support.loopthread import LoopThread
from tests.unit.client.messages import operation, status_details

State = operations_pb2.OperationMetadata


class OperationsServer(
    operations_pb2_grpc.OperationsServiceServicer,
    longrunning_pb2_grpc.OperationsServicer,
    migrate_pb2_grpc.MigrateServiceServicer,
):
    """It runs in a thread of its own; its public methods may be called from any thread.

    Each call is kept in `calls` as (method, request, metadata), and in `remaining_s` the time that
    the last call of a method gave it. `failures` are the (code, message,
    reason, metadata) that the next calls of a method end with; `ends_cancelled` says whether
    cancelling is obeyed at once. `endings` are what operations end with as soon as a method has
    started them: an operation as `messages` makes them, whose name is replaced.
    """

    def __init__(self, credentials=None):
        self.calls = []
        self.remaining_s = {}
        self.failures = {}
        self.operations = {}
        self.migrations = migrations_pb2.ListMigrationsResponse()
        self.schedules = []
        self.workers = []
        self.duties = []
        self.ends_cancelled = True
        self.endings = {}
        self.port = 0
        self._requests = {}
        self._credentials = credentials
        self._server = None
        self._thread = LoopThread("operations server")
        self._changed = asyncio.Condition()

    @property
    def target(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self._thread.run(self._start())

    def stop(self):
        self._thread.run(self._server.stop(None))

    def close(self):
        self.stop()
        self._thread.close()

    def put(self, message):
        """Set an operation's state, and tell those who watch it."""
        self._thread.run(self._put(message))

    def fail(self, method, *failures):
        self.failures[method] = list(failures)

    def named(self, method):
        """The requests of `method` so far."""
        return [request for name, request, _ in self.calls if name == method]

    async def ListOperations(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("ListOperations", request, context)
        start, end, token = self.page(request, len(self.operations))
        return longrunning_pb2.ListOperationsResponse(
            operations=list(self.operations.values())[start:end], next_page_token=token
        )

    async def GetOperation(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("GetOperation", request, context)
        return await self._find(request.name, context)

    async def WaitOperation(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("WaitOperation", request, context)
        try:
            async with asyncio.timeout(request.timeout.ToNanoseconds() / 1e9), self._changed:
                while not self.operations[request.name].done:
                    await self._changed.wait()
        except TimeoutError:
            pass
        return self.operations[request.name]

    async def CancelOperation(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("CancelOperation", request, context)
        await self._find(request.name, context)
        await self._put(operation(request.name, state=State.CANCELLING))
        if self.ends_cancelled:
            await self._put(operation(request.name, error=("CANCELLED", "it was cancelled", "")))
        return empty_pb2.Empty()

    async def DeleteOperation(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("DeleteOperation", request, context)
        await self._find(request.name, context)
        del self.operations[request.name]
        return empty_pb2.Empty()

    async def WatchOperation(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("WatchOperation", request, context)
        now = await self._find(request.name, context)
        while True:
            yield operations_pb2.WatchOperationResponse(operation=now)
            if now.done:
                return
            async with self._changed:
                while self.operations[request.name] is now:
                    await self._changed.wait()
                now = self.operations[request.name]

    async def ListSchedules(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("ListSchedules", request, context)
        start, end, token = self.page(request, len(self.schedules))
        return operations_pb2.ListSchedulesResponse(
            schedules=self.schedules[start:end], next_page_token=token
        )

    async def RunSchedule(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("RunSchedule", request, context)

    async def PlanImport(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("PlanImport", request, context)

    async def RunImport(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("RunImport", request, context)

    async def VerifyImport(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("VerifyImport", request, context)

    async def RevertImport(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("RevertImport", request, context)

    async def ListMigrations(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("ListMigrations", request, context)
        start, end, token = self.page(request, len(self.migrations.migrations))
        found = type(self.migrations)()
        found.CopyFrom(self.migrations)
        del found.migrations[:]
        found.migrations.extend(self.migrations.migrations[start:end])
        found.next_page_token = token
        return found

    async def ResolveMigration(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("ResolveMigration", request, context)
        return migrations_pb2.Migration(version=request.version, state="APPLIED")

    async def CheckMigrations(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("CheckMigrations", request, context)

    async def ApplyMigrations(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("ApplyMigrations", request, context, tries=True)

    async def RollbackMigrations(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("RollbackMigrations", request, context, tries=True)

    async def BaselineMigrations(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("BaselineMigrations", request, context, tries=True)

    async def AdoptMigrations(self, request, context):  # noqa: N802  # gRPC's name
        return await self.begin("AdoptMigrations", request, context, tries=True)

    async def PauseSchedule(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("PauseSchedule", request, context)
        return operations_pb2.Schedule(name=request.name, paused=True)

    async def ResumeSchedule(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("ResumeSchedule", request, context)
        return operations_pb2.Schedule(name=request.name)

    async def ListWorkers(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("ListWorkers", request, context)
        start, end, token = self.page(request, len(self.workers))
        return operations_pb2.ListWorkersResponse(
            workers=self.workers[start:end], next_page_token=token
        )

    async def ListDuties(self, request, context):  # noqa: N802  # gRPC's name
        await self.note("ListDuties", request, context)
        start, end, token = self.page(request, len(self.duties))
        return operations_pb2.ListDutiesResponse(
            duties=self.duties[start:end], next_page_token=token
        )

    def register(self, server):
        """Add the services to a server that is about to start."""
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(self, server)
        longrunning_pb2_grpc.add_OperationsServicer_to_server(self, server)
        migrate_pb2_grpc.add_MigrateServiceServicer_to_server(self, server)

    async def _start(self):
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self.register(self._server)
        if self._credentials is None:
            self.port = self._server.add_insecure_port(self.target)
        else:
            self.port = self._server.add_secure_port(self.target, self._credentials)
        await self._server.start()

    async def _put(self, message):
        async with self._changed:
            self.operations[message.name] = message
            self._changed.notify_all()

    async def begin(self, method, request, context, tries=False):
        """Start the operation of a request, or answer with the one of its `request_id`.

        `tries`: validate_only starts one too.
        """
        if request.validate_only and not tries:
            await self.note(method, request, context)
            return longrunning_pb2.Operation(done=True)
        known = self._requests.get(request.request_id)
        if known is None:
            known = self._requests[request.request_id] = operation(uuid.uuid4().hex[:8])
            await self._put(known)
            if method in self.endings:
                ended = longrunning_pb2.Operation()
                ended.CopyFrom(self.endings[method])
                ended.name = known.name
                await self._put(ended)
        # It fails after it has done its work: the answer is lost, not the operation.
        await self.note(method, request, context)
        return known

    async def note(self, method, request, context):
        """Keep a call, and fail it where that was wanted."""
        self.remaining_s[method] = context.time_remaining()
        self.calls.append((method, request, dict(context.invocation_metadata())))
        if self.failures.get(method):
            await _abort(context, *self.failures[method].pop(0))

    async def _find(self, name, context):
        if name not in self.operations:
            reason = ("OPERATION_NOT_FOUND", {"operation": name})
            await _abort(context, "NOT_FOUND", f"there is no {name}", *reason)
        return self.operations[name]

    @staticmethod
    def page(request, length):
        """The indices of a page's items, and the token of the next page."""
        start = int(request.page_token or 0)
        end = start + (request.page_size or 100)
        return start, end, str(end) if end < length else ""


async def _abort(context, code, message, reason="", metadata=None):
    code = grpc.StatusCode[code]
    details = status_details(code, message, reason, metadata) if reason else ()
    await context.abort(code, message, details)
