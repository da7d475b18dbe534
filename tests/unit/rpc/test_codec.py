"""Messages to dataclasses and back."""

import dataclasses
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from dbopsd.app.features import FEATURES
from dbopsd.errors import InvalidField
from dbopsd.rpc.codec import Codec
from dbopsd.rpc.codec_values import enum_numbers
from dbopsd.rpc.field_names import FIELD_NAMES, NOT_SENT
from dbopsd.rpc.operation_methods import OperationMethod
from tests.support.demo.feature import FEATURE as DEMO

ROOT = Path(__file__).parents[3]
METHODS = [method for feature in (*FEATURES, DEMO) for method in feature.methods]
PROTO = """
syntax = "proto3";
package tests.codec;
import "dbops/v1/resources.proto";
import "google/api/resource.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
option (google.api.resource_definition) = {
  type: "tests/Part" pattern: "databases/{database}/parts/{part}"
};
option (google.api.resource_definition) = { type: "tests/Job" pattern: "jobs/{job}" };
enum Colour { COLOUR_UNSPECIFIED = 0; RED = 1; BLUE = 2; }
message Leaf { string name = 1; Colour colour = 2; }
message Tree { string name = 1; repeated Tree branches = 2; Tree next = 3; }
message All {
  string text = 1;
  bytes raw = 2;
  bool yes = 3;
  int32 small = 4;
  uint64 large = 5;
  double real = 6;
  Colour colour = 7;
  Leaf leaf = 8;
  repeated string texts = 9;
  repeated Leaf leaves = 10;
  repeated Colour colours = 11;
  map<string, int32> counts = 12;
  map<int32, Leaf> named = 13;
  optional int32 maybe = 14;
  google.protobuf.Timestamp create_time = 15;
  google.protobuf.Timestamp end_time = 16;
  google.protobuf.Duration lock_timeout = 17;
  google.protobuf.Duration timeout = 18;
  oneof place { string path = 19; Leaf spot = 20; }
  string job = 21 [(google.api.resource_reference).type = "tests/Job"];
  google.protobuf.Duration delay = 22;
}
message Deep {
  string name = 1 [(google.api.resource_reference).type = "tests/Part"];
}
message One { string text = 1; }
message Flag { bool yes = 1; }
message Wait { google.protobuf.Duration timeout = 1; }
message When { google.protobuf.Timestamp create_time = 1; }
message Count { int32 count = 1; }
message Many { repeated string texts = 1; }
message Table { map<string, string> cells = 1; }
message Painted { Colour colour = 1; }
message Holder { Leaf leaf = 1; }
"""


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The message types of PROTO, by their names."""
    directory = tmp_path_factory.mktemp("codec")
    (directory / "tests_codec.proto").write_text(PROTO)
    output = directory / "set"
    paths = (directory, ROOT / "protos", ROOT / "third_party")
    command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{path}" for path in paths)]
    subprocess.run(
        [*command, f"--descriptor_set_out={output}", "tests_codec.proto"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(files.file[0].SerializeToString())
    return pool.FindFileByName("tests_codec.proto").message_types_by_name


class Colour(Enum):
    RED = "r"
    BLUE = "b"


@dataclass(frozen=True)
class Leaf:
    name: str
    colour: Colour = Colour.BLUE


@dataclass(frozen=True)
class Tree:
    name: str
    branches: tuple["Tree", ...] = ()
    next: "Tree | None" = None


@dataclass(frozen=True)
class All:
    text: str
    raw: bytes
    yes: bool
    small: int
    large: int
    real: float
    colour: Colour
    leaf: Leaf
    texts: list[str]
    leaves: tuple[Leaf, ...]
    colours: list[Colour]
    counts: dict[str, int]
    named: dict[int, Leaf]
    maybe: int | None
    create_time: float
    end_time: datetime
    lock_timeout_ms: int
    timeout_s: float
    path: str | None
    spot: Leaf | None
    job_id: str
    delay_us: float | None = None


FULL = All(
    text="a",
    raw=b"\0\xff",
    yes=True,
    small=-3,
    large=2**64 - 1,
    real=0.5,
    colour=Colour.RED,
    leaf=Leaf("l", Colour.RED),
    texts=["x", ""],
    leaves=(Leaf("1"), Leaf("2", Colour.RED)),
    colours=[Colour.RED, Colour.BLUE],
    counts={"a": 1, "b": 0},
    named={7: Leaf("seven")},
    maybe=0,
    create_time=1_700_000_000.25,
    end_time=datetime(2026, 1, 31, 12, 0, 0, 123_456, UTC),
    lock_timeout_ms=1_500,
    timeout_s=2.25,
    path=None,
    spot=Leaf("here"),
    job_id="j-1",
    delay_us=12.0,
)


class TestValues:
    def test_everything_arrives_and_comes_back(self, types: Any) -> None:
        codec = Codec(types["All"], All)
        message: Any = codec.encode(FULL)
        assert message.text == "a"
        assert message.colour == 1
        assert [leaf.name for leaf in message.leaves] == ["1", "2"]
        assert list(message.colours) == [1, 2]
        assert message.named[7].colour == 2
        assert message.lock_timeout.ToMilliseconds() == 1_500
        assert message.delay.ToMicroseconds() == 12
        assert message.end_time.ToJsonString() == "2026-01-31T12:00:00.123456Z"
        assert message.yes
        assert message.WhichOneof("place") == "spot"
        assert message.HasField("maybe")
        assert message.job == "jobs/j-1"
        back = codec.decode(type(message).FromString(message.SerializeToString()))
        assert back == FULL
        assert (back.yes, back.spot, back.lock_timeout_ms, back.delay_us) == (
            True,
            Leaf("here"),
            1_500,
            12.0,
        )

    def test_what_is_not_set_is_the_default_or_none(self, types: Any) -> None:
        @dataclass(frozen=True)
        class Some:
            name: str = "anonymous"
            colour: Colour = Colour.BLUE

        assert Codec(types["Leaf"], Some).decode(_new(types["Leaf"])) == Some()

        @dataclass(frozen=True)
        class Nothing:
            name: str | None
            colour: Colour | None

        codec = Codec(types["Leaf"], Nothing)
        assert codec.decode(_new(types["Leaf"])) == Nothing(None, None)
        assert codec.encode(Nothing(None, None)) == _new(types["Leaf"])

    def test_a_zero_is_meant_where_there_is_no_default(self, types: Any) -> None:
        number = make_dataclass("Number", [("count", int)], frozen=True)
        assert Codec(types["Count"], number).decode(_new(types["Count"])) == number(0)

    def test_a_name_below_a_database_is_its_last_id(self, types: Any) -> None:
        part = make_dataclass("Part", [("part_id", str)], frozen=True)
        message = _new(types["Deep"], name="databases/main/parts/p-1")
        assert Codec(types["Deep"], part).decode(message) == part("p-1")

    def test_no_id_is_no_name(self, types: Any) -> None:
        codec = Codec(types["All"], All)
        message: Any = codec.encode(dataclasses.replace(FULL, job_id=""))
        assert message.job == ""
        assert codec.decode(message).job_id == ""

    def test_a_type_may_be_within_itself(self, types: Any) -> None:
        codec = Codec(types["Tree"], Tree)
        tree = Tree("a", (Tree("b", (Tree("c"),)), Tree("d")), Tree("e", next=Tree("f")))
        assert codec.decode(codec.encode(tree)) == tree


class TestErrors:
    def test_each_names_the_field_with_its_path(self, types: Any) -> None:
        codec = Codec(types["All"], All)
        message: Any = codec.encode(FULL)
        message.leaves[1].colour = 9
        assert _refused(codec, message) == (
            "leaves[1].colour",
            "has the value 9, which is not known here",
        )
        message = codec.encode(FULL)
        message.colours[1] = -1
        assert _refused(codec, message)[0] == "colours[1]"
        message = codec.encode(FULL)
        message.colour = 7
        assert _refused(codec, message)[0] == "colour"

    @pytest.mark.parametrize("name", ["colour", "leaf", "create_time", "lock_timeout"])
    def test_what_has_no_default_has_to_be_set(self, types: Any, name: str) -> None:
        codec = Codec(types["All"], All)
        message = codec.encode(FULL)
        message.ClearField(name)
        assert _refused(codec, message) == (name, "is required")


@pytest.mark.parametrize(
    ("message", "attributes", "problem"),
    [
        ("Leaf", [("name", str)], "no attribute colour"),
        ("One", [("text", str), ("more", str)], "no field more"),
        ("One", [("text", int)], "text: str is not <class 'int'>"),
        ("One", [("text", str | int)], "text: str is not str | int"),
        ("Wait", [("timeout", float)], "a Duration is a number named with its unit"),
        ("Wait", [("timeout_s", str)], "a Duration is a number named with its unit"),
        ("Wait", [("timeout_h", float)], "no attribute timeout or timeout_s"),
        ("When", [("create_time", int)], "a Timestamp is not <class 'int'>"),
        ("Many", [("texts", str)], "a repeated field is not <class 'str'>"),
        ("Many", [("texts", tuple[str, int])], "a repeated field is not tuple[str, int]"),
        ("Many", [("texts", list[str], field(default_factory=lambda: ["a"]))], "not told from"),
        ("Table", [("cells", list[str])], "a map is not list[str]"),
        ("Table", [("cells", dict[str, int])], "str is not <class 'int'>"),
        ("Flag", [("yes", bool, True)], "make it `optional`"),
        ("Painted", [("colour", str)], "an enum is not <class 'str'>"),
        ("Painted", [("colour", Enum("E", ["RED", "GREEN"]))], "BLUE, GREEN"),
        ("Holder", [("leaf", str)], "tests.codec.Leaf is no dataclass"),
        ("Holder", [("leaf", make_dataclass("L", [("name", str)]))], "no attribute colour"),
    ],
)
def test_what_does_not_go_together_is_refused(
    types: Any, message: str, attributes: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        Codec(types[message], make_dataclass("Mine", attributes))


def test_enums_go_by_the_names_of_their_values(types: Any) -> None:
    assert enum_numbers(Colour, types["Leaf"].fields_by_name["colour"].enum_type) == {
        Colour.RED: 1,
        Colour.BLUE: 2,
    }


class TestEachKind:
    """Of the daemon and of the demo: what its method says is what its dataclasses have."""

    @pytest.fixture(params=METHODS, ids=lambda method: method.kind.name)
    def method(self, request: pytest.FixtureRequest) -> OperationMethod[Any, Any]:
        found: OperationMethod[Any, Any] = request.param
        return found

    def test_its_request_and_its_result_go_together_with_the_messages(self, method: Any) -> None:
        method.compile()

    def test_every_field_is_set_and_read(self, method: Any) -> None:
        for message, dataclass_, ignored in _pairs(method):
            codec = Codec(message, dataclass_, ignored=ignored)
            encoded = codec.encode(_filled(dataclass_))
            assert list(_unset(encoded, ignored)) == []
            assert codec.encode(codec.decode(encoded)) == encoded

    def test_a_field_more_or_less_is_found(self, method: Any) -> None:
        for message, dataclass_, ignored in _pairs(method):
            hints = typing.get_type_hints(dataclass_)
            fields = [(each.name, hints[each.name]) for each in dataclasses.fields(dataclass_)]
            Codec(message, make_dataclass("Same", fields), ignored=ignored)
            with pytest.raises(ValueError, match="no field one_more"):
                Codec(message, make_dataclass("M", [*fields, ("one_more", str)]), ignored=ignored)
            for index in range(len(fields)):
                less = make_dataclass("Less", fields[:index] + fields[index + 1 :])
                with pytest.raises(ValueError, match="no attribute"):
                    Codec(message, less, ignored=ignored)


def test_no_name_is_left_over() -> None:
    """Of a message that is gone: a field that is gone is found when its message is compiled."""
    known = {
        each.full_name
        for method in METHODS
        for message, _, _ in _pairs(method)
        for each in _with_all_below(message)
    }
    assert (FIELD_NAMES.keys() | NOT_SENT.keys()) <= known


def _pairs(method: OperationMethod[Any, Any]) -> Iterator[tuple[Descriptor, Any, frozenset[str]]]:
    yield method.descriptor.input_type, method.kind.request_type, method.envelope
    yield method.response_type, method.kind.result_type, frozenset()


def _with_all_below(message: Descriptor) -> Iterator[Descriptor]:
    yield message
    for each in message.fields:
        if each.message_type is not None:
            yield from _with_all_below(each.message_type)


def _new(message: Descriptor, **fields: Any) -> Any:
    return message_factory.GetMessageClass(message)(**fields)


def _refused(codec: Codec[Any], message: Message) -> tuple[str, str]:
    with pytest.raises(InvalidField) as refused:
        codec.decode(message)
    return refused.value.field, refused.value.problem


def _filled(type_: Any) -> Any:
    """A value of a type in which nothing is what it would be by default."""
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if origin in (list, tuple):
        return origin([_filled(arguments[0])])
    if origin is dict:
        return {_filled(arguments[0]): _filled(arguments[1])}
    if arguments:
        return _filled(arguments[0])
    if dataclasses.is_dataclass(type_):
        hints = typing.get_type_hints(type_)
        return type_(**{each.name: _filled(hints[each.name]) for each in dataclasses.fields(type_)})  # type: ignore[operator]
    if issubclass(type_, Enum):
        return list(type_)[-1]
    if type_ is datetime:
        return datetime(2026, 1, 31, 12, 0, 0, 123_456, UTC)
    return {str: "x", bytes: b"x", bool: True, int: 7, float: 2.5}[type_]


def _unset(message: Any, ignored: frozenset[str], path: str = "") -> Iterator[str]:
    """The fields of a message that are not set, and those of the messages within it."""
    given = {each.name for each, _ in message.ListFields()}
    for each in message.DESCRIPTOR.fields:
        if each.name in ignored or (each.containing_oneof and each.name not in given):
            continue
        if each.name not in given:
            yield path + each.name
        elif (
            each.type == FieldDescriptor.TYPE_MESSAGE
            and not each.message_type.full_name.startswith("google.protobuf.")
            and not each.message_type.GetOptions().map_entry
        ):
            found = getattr(message, each.name)
            for inner in found if each.is_repeated else [found]:
                yield from _unset(inner, frozenset(), f"{path}{each.name}.")
