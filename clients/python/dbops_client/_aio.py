"""The client for asyncio."""

from collections.abc import AsyncIterator
from typing import Unpack

from dbops.v1 import health_pb2, operations_pb2, resources_pb2
from google.longrunning import operations_pb2 as longrunning_pb2

from dbops_client._aio_transport import AsyncTransport
from dbops_client._channel import DEFAULT_RECONNECT_S
from dbops_client._errors import DbopsError
from dbops_client._imports import (
    PlanImportOptions,
    RunImportOptions,
    StartOptions,
    VerifyImportOptions,
    plan_import_request,
    revert_import_request,
    run_import_request,
    verify_import_request,
)
from dbops_client._metadata import Metadata, with_extra
from dbops_client._names import OPERATIONS, database_name, operation_name, schedule_name
from dbops_client._operation import Operation, is_done, operation_of
from dbops_client._reconnect import Reconnect
from dbops_client._request_id import request_id_or_new
from dbops_client._wait_schedule import Waiting
from dbops_client._watch import AsyncWatch


class AsyncDbopsClient(AsyncTransport):
    """dbopsd's API for asyncio.

    It may be made before an event loop runs; from the first call on it belongs to the loop of that
    call.

    `target` is `host`, `host:port`, a URL (`https://` and `grpcs://` mean TLS, `http://` and
    `grpc://` plaintext) or a gRPC name such as `unix:/run/dbopsd.sock`. TLS is used where the URL
    says so, where `tls` is True (False insists on plaintext), or where a certificate file is given:
    `ca` (whom to trust; by default gRPC's own list of public authorities), `certificate` and `key`
    (who we are; together). All are paths of PEM files.
    `token` goes as a bearer token with each call; a callable is asked for it before each one, and
    by a watch whenever it connects.

    `timeout_s` is each call's deadline in seconds, retries included, and each stream's for its
    first message.

    `channel`, where given, is used instead of one of our own. The client then neither closes it nor
    answers for its encryption, retries and keepalive, and `target` and the certificate files have
    no meaning.

    Raises ConfigurationError for what cannot be; among it is a token that would cross a network
    without TLS. Every method raises DbopsError, in the subclass of its gRPC code, when the call
    fails; one that may be done twice was then tried four times if the server was UNAVAILABLE.
    Every method takes `metadata`, pairs that go along with the call, such as W3C `traceparent`.
    """

    async def list_databases(
        self, *, page_size: int = 0, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> AsyncIterator[resources_pb2.Database]:
        """Iterate over the databases, by name, over all pages.

        A page is asked for when the iteration reaches it, and `timeout_s` is for each. `page_size`
        is 1 to 1000; 0 leaves it to the server.
        """
        # It is sent with every page, and an iterator would be empty by the second.
        metadata = tuple(metadata)
        token = ""
        while True:
            request = health_pb2.ListDatabasesRequest(page_size=page_size, page_token=token)
            page = await self._call(self._health.ListDatabases, request, timeout_s, metadata)
            for database in page.databases:
                yield database
            token = page.next_page_token
            if not token:
                return

    async def get_health(
        self, database: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> health_pb2.DatabaseHealth:
        """Return how well `database` is; `main` and `databases/main` name the same one."""
        request = health_pb2.GetHealthRequest(name=database_name(database))
        return await self._call(self._health.GetHealth, request, timeout_s, metadata)

    def watch_health(
        self,
        database: str,
        *,
        every_probe: bool = False,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncWatch[health_pb2.DatabaseHealth]:
        """Watch how well `database` is: its present state now, then each change, without an end.

        With `every_probe` each probe's result comes too, changed or not. While the server is
        UNAVAILABLE, from the start on, the watch connects again, for `reconnect_for_s` seconds at
        most (0: not at all). A server that takes the call and stays silent is a
        DeadlineExceededError after `timeout_s`. Nothing is sent before the first iteration.
        """
        request = health_pb2.WatchHealthRequest(
            name=database_name(database), every_probe=every_probe
        )
        extra = with_extra((), metadata)  # checked now, and not when the watch begins
        return AsyncWatch(
            lambda: self._health.WatchHealth(request, metadata=self._sent(extra)),
            _health_of,
            timeout_s=self._deadline(timeout_s),
            reconnect=Reconnect(reconnect_for_s),
        )

    async def get_operation(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> Operation:
        """Return the operation; `1f3a` and `operations/1f3a` name the same one."""
        request = longrunning_pb2.GetOperationRequest(name=operation_name(operation))
        return Operation(
            await self._call(self._longrunning.GetOperation, request, timeout_s, metadata)
        )

    async def list_operations(
        self,
        filter: str = "",  # noqa: A002  # the contract's word
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[Operation]:
        """Iterate over the operations, the newest first, over all pages.

        `filter` is as OperationsService has it, such as `done = false AND metadata.database =
        "databases/main"`; empty means all. Pages are asked for as list_databases does.
        """
        metadata = tuple(metadata)  # as in list_databases
        token = ""
        while True:
            request = longrunning_pb2.ListOperationsRequest(
                name=OPERATIONS, filter=filter, page_size=page_size, page_token=token
            )
            page = await self._call(self._longrunning.ListOperations, request, timeout_s, metadata)
            for message in page.operations:
                yield Operation(message)
            token = page.next_page_token
            if not token:
                return

    async def wait_operation(
        self,
        operation: str,
        *,
        within_s: float | None = None,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Operation:
        """Return the operation when it has ended, or as it is after `within_s` seconds.

        Without `within_s` it waits for as long as the operation takes. An outage of the server is
        waited out for `reconnect_for_s` seconds at most (0: not at all). `timeout_s` is what an
        answer may take beyond the waiting that was asked for.
        """
        metadata = tuple(metadata)  # it is sent with every call
        answer_s = self._deadline(timeout_s)
        waiting = Waiting(operation_name(operation), within_s, Reconnect(reconnect_for_s))
        while True:
            request = waiting.request()
            try:
                message = await self._call(
                    self._longrunning.WaitOperation, request, waiting.piece_s + answer_s, metadata
                )
            except DbopsError as error:
                delay_s = waiting.after_error(error)
                if delay_s is None:
                    raise
            else:
                found = Operation(message)
                delay_s = waiting.after_answer(found)
                if delay_s is None:
                    return found
            await self._sleep(delay_s)

    def watch_operation(
        self,
        operation: str,
        *,
        reconnect_for_s: float = DEFAULT_RECONNECT_S,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncWatch[Operation]:
        """Watch the operation: as it is now, then each change, last as it ended; then it stops.

        Outages and a silent server are as with watch_health.
        """
        request = operations_pb2.WatchOperationRequest(name=operation_name(operation))
        extra = with_extra((), metadata)  # checked now, and not when the watch begins
        return AsyncWatch(
            lambda: self._operations.WatchOperation(request, metadata=self._sent(extra)),
            operation_of,
            timeout_s=self._deadline(timeout_s),
            reconnect=Reconnect(reconnect_for_s),
            is_last=is_done,
        )

    async def cancel_operation(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> None:
        """Ask for the operation to be cancelled. It has ended only once it says so.

        Twice is no error while it runs; FailedPreconditionError (`OPERATION_DONE`) if it has ended.
        """
        request = longrunning_pb2.CancelOperationRequest(name=operation_name(operation))
        await self._call(self._longrunning.CancelOperation, request, timeout_s, metadata)

    async def delete_operation(
        self, operation: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> None:
        """Forget an operation that has ended, and its result.

        Raises FailedPreconditionError (`OPERATION_NOT_DONE`) if it has not.
        """
        request = longrunning_pb2.DeleteOperationRequest(name=operation_name(operation))
        await self._call(self._longrunning.DeleteOperation, request, timeout_s, metadata)

    async def list_schedules(
        self,
        database: str | None = None,
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> AsyncIterator[operations_pb2.Schedule]:
        """Iterate over the schedules of `database`, or of every one, by name, over all pages."""
        metadata = tuple(metadata)  # as in list_databases
        parent = database_name("-" if database is None else database)
        token = ""
        while True:
            request = operations_pb2.ListSchedulesRequest(
                parent=parent, page_size=page_size, page_token=token
            )
            page = await self._call(self._operations.ListSchedules, request, timeout_s, metadata)
            for schedule in page.schedules:
                yield schedule
            token = page.next_page_token
            if not token:
                return

    async def run_schedule(
        self,
        schedule: str,
        *,
        request_id: str | None = None,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> Operation:
        """Start a schedule's operation now, and return it as it was accepted.

        `schedule` is `main/nightly` or `databases/main/schedules/nightly`. The same `request_id`
        twice is one operation; without one the client makes one up, so that the call can be tried
        again. With `validate_only` nothing starts: it fails where starting would, and else returns
        an operation that is done and has no name.
        """
        request = operations_pb2.RunScheduleRequest(
            name=schedule_name(schedule),
            request_id=request_id_or_new(request_id),
            validate_only=validate_only,
        )
        return Operation(
            await self._call(self._operations.RunSchedule, request, timeout_s, metadata)
        )

    async def pause_schedule(
        self, schedule: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> operations_pb2.Schedule:
        """Have a schedule start nothing until it is resumed; return it as it is then."""
        request = operations_pb2.PauseScheduleRequest(name=schedule_name(schedule))
        return await self._call(self._operations.PauseSchedule, request, timeout_s, metadata)

    async def resume_schedule(
        self, schedule: str, *, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> operations_pb2.Schedule:
        """Have a paused schedule go on with its next time; return it as it is then."""
        request = operations_pb2.ResumeScheduleRequest(name=schedule_name(schedule))
        return await self._call(self._operations.ResumeSchedule, request, timeout_s, metadata)

    async def list_workers(
        self, *, page_size: int = 0, timeout_s: float | None = None, metadata: Metadata = ()
    ) -> AsyncIterator[operations_pb2.Worker]:
        """Iterate over the processes that run operations, by name, over all pages."""
        metadata = tuple(metadata)  # as in list_databases
        token = ""
        while True:
            request = operations_pb2.ListWorkersRequest(page_size=page_size, page_token=token)
            page = await self._call(self._operations.ListWorkers, request, timeout_s, metadata)
            for worker in page.workers:
                yield worker
            token = page.next_page_token
            if not token:
                return

    async def plan_import(
        self,
        database: str,
        source: str,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[PlanImportOptions],
    ) -> Operation:
        """Start to find out what importing a SQLite file would do; it ends with an `ImportPlan`.

        `source` is a path on the machine of the daemon's workers. What is not given in `options`
        (`schema`, `mode`, `tables`, …) is as `PlanImportRequest` has it by default.
        """
        request = plan_import_request(database, source, options)
        return Operation(await self._call(self._migrate.PlanImport, request, timeout_s, metadata))

    async def run_import(
        self,
        database: str,
        source: str,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[RunImportOptions],
    ) -> Operation:
        """Start to import a SQLite file; it ends with an `ImportReport`.

        So does one that fails: `Operation.failure_details(ImportReport)`. Arguments are as with
        plan_import, and as `RunImportRequest` has them.
        """
        request = run_import_request(database, source, options)
        return Operation(await self._call(self._migrate.RunImport, request, timeout_s, metadata))

    async def verify_import(
        self,
        database: str,
        operation: str,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[VerifyImportOptions],
    ) -> Operation:
        """Start to compare what the import `operation` brought with its file, or with another.

        It ends with a `VerifyImportResponse`, which says whether they are equal.
        """
        request = verify_import_request(database, operation, options)
        return Operation(await self._call(self._migrate.VerifyImport, request, timeout_s, metadata))

    async def revert_import(
        self,
        database: str,
        operation: str,
        *,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[StartOptions],
    ) -> Operation:
        """Start to put back what the import `operation` replaced.

        It ends with a `RevertImportResponse`.
        """
        request = revert_import_request(database, operation, options)
        return Operation(await self._call(self._migrate.RevertImport, request, timeout_s, metadata))


def _health_of(response: health_pb2.WatchHealthResponse) -> health_pb2.DatabaseHealth:
    return response.health
