"""A campaign on a fleet: operations are asked for while its processes are killed, then judged.

What is judged, from the records that the API shows, the ledger that the operations write and
/proc: none was lost, none run twice to its end, none left a process, and each ended as its record
says.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import grpc.aio
from dbops.v1 import operations_pb2
from google.longrunning import operations_pb2 as longrunning_pb2
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2

from dbopsd.operations.orphan_processes import OPERATION_VARIABLE
from tests.support.demo import ledger
from tests.support.demo.generated import demo_pb2, demo_pb2_grpc
from tests.support.fleet import Fleet, Member
from tests.support.patience import eventually

State = operations_pb2.OperationMetadata

_CALL_TIMEOUT_S = 10.0
_ASK_FOR_S = 180.0
_SOME = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass
class Asked:
    """An operation that was asked for, under one `request_id`."""

    request: Any
    names: set[str] = field(default_factory=set)
    """What the answers called it."""
    cancelled: bool = False


class Callers:
    """Call whichever replica is there, again and again until one answers."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self._fleet = fleet
        self._chance = chance
        self._channels: dict[str, grpc.aio.Channel] = {}
        self.refused: Counter[str] = Counter()

    async def call(self, method: Callable[[grpc.aio.Channel], Any], request: Any) -> Any:
        """The first answer; UNAVAILABLE and silence are none."""
        deadline = asyncio.get_running_loop().time() + _ASK_FOR_S
        while True:
            addresses = [each.address for each in self._fleet.replicas if each.address]
            try:
                if addresses:
                    channel = self._channel(self._chance.choice(addresses))
                    return await method(channel)(request, timeout=_CALL_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _SOME:
                    raise
                self.refused[error.code().name] += 1
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"nobody answers: {self._fleet.logs()}")
            await asyncio.sleep(0.05)

    async def run_demo(self, request: Any) -> Any:
        return await self.call(lambda to: demo_pb2_grpc.DemoServiceStub(to).RunDemo, request)

    async def cancel(self, name: str) -> None:
        request = longrunning_pb2.CancelOperationRequest(name=name)
        await self.call(lambda to: longrunning_pb2_grpc.OperationsStub(to).CancelOperation, request)

    async def operation(self, name: str) -> Any:
        request = longrunning_pb2.GetOperationRequest(name=name)
        return await self.call(
            lambda to: longrunning_pb2_grpc.OperationsStub(to).GetOperation, request
        )

    async def all_operations(self) -> list[Any]:
        """Every page of the list."""
        found: list[Any] = []
        token = ""
        while True:
            page = await self.call(
                lambda to: longrunning_pb2_grpc.OperationsStub(to).ListOperations,
                longrunning_pb2.ListOperationsRequest(
                    name="operations", page_size=1000, page_token=token
                ),
            )
            found.extend(page.operations)
            token = page.next_page_token
            if not token:
                return found

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address)
        return self._channels[address]


class Campaign:
    """Operations asked for, and processes killed, by one seeded chance."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self._fleet = fleet
        self._chance = chance
        self.callers = Callers(fleet, chance)
        self.asked: list[Asked] = []
        self.kills: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.callers.close()

    async def ask(self, count: int, *, over_s: float, short: bool = False) -> None:
        """Ask for that many operations, evenly over the time, each `request_id` 1 to 3 times."""

        async def one(number: int) -> None:
            await asyncio.sleep(over_s * number / count)
            asked = Asked(self._request(number, short=short))
            self.asked.append(asked)
            for answer in await asyncio.gather(
                *(self._start(asked.request) for _ in range(self._chance.randint(1, 3)))
            ):
                asked.names.add(answer.name)
            if self._chance.random() < 0.1:
                await asyncio.sleep(self._chance.random())
                await self._cancel(asked)

        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(one(number))

    async def kill(self, count: int, *, victims: list[list[Member]], pause_s: float) -> None:
        """That many times: kill a list of members, and restart it after a moment."""
        for _ in range(count):
            await asyncio.sleep(self._chance.uniform(0, pause_s))
            chosen = self._chance.choice(victims)
            for member in chosen:
                member.kill()
            self.kills["+".join(member.name for member in chosen)] += 1
            # Right away, or once the others have taken its work.
            await asyncio.sleep(self._chance.choice([0, 0.5, 1]))
            for member in chosen:
                member.start()
            # Mostly: one that is killed while it starts is a case too, and one that is killed each
            # time before it serves answers nobody.
            if self._chance.random() < 0.8:
                await self._fleet.at_work(chosen)

    async def all_ended(self, timeout_s: float) -> None:
        """Return once no operation is queued or running."""

        async def ended() -> bool:
            open_ = [each.name for each in await self.callers.all_operations() if not each.done]
            assert not open_, f"{len(open_)} have not ended: {open_[:5]}; {self._fleet.logs()}"
            return True

        await eventually(ended, timeout_s, "all operations end")

    async def judge(self) -> Counter[str]:
        """Raise AssertionError where a promise was broken; the states that they ended in."""
        listed = {each.name: each for each in await self.callers.all_operations()}
        names = [name for asked in self.asked for name in asked.names]
        assert all(len(asked.names) == 1 for asked in self.asked), "one request_id, two operations"
        assert len(set(names)) == len(names), "two request_ids, one operation"
        assert set(names) == set(listed), f"lost or never asked for: {set(names) ^ set(listed)}"
        entries = ledger.read(self._fleet.ledger)
        states: Counter[str] = Counter()
        for asked in self.asked:
            (name,) = asked.names
            operation = await self.callers.operation(name)
            # Not their bytes: replicas put the entries of a map in different orders.
            faces = [json_format.MessageToDict(each) for each in (operation, listed[name])]
            assert faces[0] == faces[1], f"{name} shows two faces: {faces}"
            own = ledger.of(name.removeprefix("operations/"), entries)
            try:
                states[judge_operation(asked, operation, own)] += 1
            except AssertionError as error:
                raise AssertionError(f"{operation}\n{own}") from error
        await eventually(lambda: not _orphans(names), what=f"no orphans: {_orphans(names)}")
        # Nothing of what has ended goes on.
        assert ledger.read(self._fleet.ledger) == entries
        return states

    def _request(self, number: int, *, short: bool) -> Any:
        steps = self._chance.randint(1, 3)
        return demo_pb2.RunDemoRequest(
            name="databases/main",
            request_id=f"request-{number}",
            steps=steps,
            step_seconds=0.0 if short else self._chance.choice([0, 0.1, 0.5, 1.0]),
            child=self._chance.random() < (0.05 if short else 0.4),
            fail_at_step=self._chance.choice([0, 0, 0, 0, 0, steps]),
            ledger=str(self._fleet.ledger),
        )

    async def _start(self, request: Any) -> Any:
        await asyncio.sleep(self._chance.random() * 0.2)
        return await self.callers.run_demo(request)

    async def _cancel(self, asked: Asked) -> None:
        asked.cancelled = True
        try:
            await self.callers.cancel(next(iter(asked.names)))
        except grpc.aio.AioRpcError as error:
            # It was faster.
            if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise


def judge_operation(asked: Asked, operation: Any, entries: list[ledger.Entry]) -> str:
    """The state that an operation ended in, once it is known that all fits to it."""
    metadata = State()
    assert operation.metadata.Unpack(metadata)
    assert operation.done
    assert metadata.request_id == asked.request.request_id
    attempts = [entry.attempt for entry in entries]
    assert attempts == sorted(attempts), "two attempts side by side"
    assert not entries or attempts[-1] <= metadata.attempt, "an attempt after the last one"
    steps = [entry.step for entry in entries if entry.what != ledger.CLEANED]
    assert steps == sorted(steps), "a step was done again though the next had begun"
    state = State.State.Name(metadata.state)
    match metadata.state:
        case State.SUCCEEDED:
            assert not asked.request.fail_at_step
            _judge_result(asked, operation, metadata, entries)
        case State.FAILED:
            info = error_details_pb2.ErrorInfo()
            assert operation.error.details[0].Unpack(info)
            assert asked.request.fail_at_step, info.reason
            assert info.reason == "INVALID_FIELD"
            assert _last_is_cleaning(entries)
        case State.CANCELLED:
            assert asked.cancelled
            assert operation.error.code == grpc.StatusCode.CANCELLED.value[0]
            assert not entries or _last_is_cleaning(entries)
        case _:
            raise AssertionError(f"done, and {state}")
    return state


def _judge_result(asked: Asked, operation: Any, metadata: Any, entries: list[ledger.Entry]) -> None:
    """Each step was done to its end by the attempt that the result names, and by none after it."""
    response = demo_pb2.DemoResponse()
    assert operation.response.Unpack(response)
    assert response.steps_done == asked.request.steps == len(response.step_attempts)
    assert response.attempts == metadata.attempt
    for number, attempt in enumerate(response.step_attempts, start=1):
        of_step = [entry for entry in entries if entry.step == number]
        of_attempt = [entry.what for entry in of_step if entry.attempt == attempt]
        assert of_attempt == [ledger.BEGIN, ledger.END], f"step {number}: {of_attempt}"
        assert of_step[-1].attempt == attempt, f"step {number} was done again when it was done"
    assert not [entry for entry in entries if entry.what == ledger.CLEANED]


def _last_is_cleaning(entries: list[ledger.Entry]) -> bool:
    return bool(entries) and entries[-1].what == ledger.CLEANED


def _orphans(names: list[str]) -> list[str]:
    """Processes that are marked as one of these operations'."""
    operations = {name.removeprefix("operations/").encode() for name in names}
    prefix = f"{OPERATION_VARIABLE}=".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(each.removeprefix(prefix) in operations for each in variables):
                arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found.append(f"{entry.name} {arguments}")
        except OSError:
            continue
    return found
