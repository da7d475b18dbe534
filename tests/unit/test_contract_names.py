"""What clients in other languages are generated from."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor

from tests.unit.test_contract import MODULES

ROOT = Path(__file__).parents[2]
FILES = [module.DESCRIPTOR for module in MODULES]
MESSAGE = "message Thing {{\n  enum Kind {{ KIND_UNSPECIFIED = 0; }}\n  {}\n}}"


def find_clashes(directory: Path, *fields: str) -> subprocess.CompletedProcess[str]:
    message = MESSAGE.format("\n  ".join(fields))
    (directory / "thing.proto").write_text(f'syntax = "proto3";\npackage thing.v1;\n{message}\n')
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/find-name-clashes"), str(directory)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("language", "fields"),
    [
        ("Java", ("string source = 1;", "int64 source_bytes = 2;")),
        ("Java", ("repeated int32 row = 1;", "int32 row_count = 2;")),
        ("Java", ("Kind kind = 1;", "string kind_value = 2;")),
        ("Java", ("map<string, int32> part = 1;", "int32 part_map = 2;")),
        ("Java", ("oneof part { int32 a = 1; }", "int32 part_case = 2;")),
        ("Java", ("bool default_instance = 1;",)),
        ("C#", ("int32 row = 1;", "int32 row_field_number = 2;")),
        ("C#", ("optional int32 row = 1;", "bool has_row = 2;")),
        ("Go", ("int32 row = 1;", "int32 get_row = 2;")),
        ("C++", ("repeated int32 row = 1;", "int32 row_size = 2;")),
        ("Ruby", ("Kind kind = 1;", "string kind_const = 2;")),
        ("Ruby", ("string method = 1;",)),
        ("PHP", ("int32 row_count = 1;", "int32 rowcount = 2;")),
        ("Objective-C", ("repeated int32 row = 1;", "int32 row_array = 2;")),
        ("Swift", ("optional int32 row = 1;", "bool clear_row = 2;")),
    ],
)
def test_accessors_that_collide_are_found(
    tmp_path: Path, language: str, fields: tuple[str, ...]
) -> None:
    found = find_clashes(tmp_path, *fields)
    assert found.returncode == 1
    assert f"thing.v1.Thing: in {language} " in found.stderr


def test_fields_that_do_not_collide_pass(tmp_path: Path) -> None:
    fields = (
        "string source = 1;",
        "int64 source_size_bytes = 2;",
        "optional int32 row = 3;",
        "repeated string notes = 4;",
        "map<string, Thing> parts = 5;",
        "oneof part { int32 a = 6; Thing b = 7; }",
    )
    found = find_clashes(tmp_path, *fields)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_each_proto_names_its_package_in_every_language(file: FileDescriptor) -> None:
    options = file.GetOptions()
    path, _, package = options.go_package.partition(";")
    # Go takes what has no dot before its first slash for its own library.
    assert re.fullmatch(r"[a-z-]+(\.[a-z-]+)+(/[a-z0-9_-]+)+", path), options.go_package
    assert package == "dbopsv1"
    assert re.fullmatch(r"[a-z]+(\.[a-z0-9]+)+", options.java_package)
    assert options.java_multiple_files
    assert options.csharp_namespace == "Dbops.V1"
    assert options.ruby_package == "Dbops::V1"
    assert options.php_namespace == "Dbops\\V1"


def test_no_file_of_java_is_called_as_a_message() -> None:
    outer = [file.GetOptions().java_outer_classname for file in FILES]
    types = {
        name
        for file in FILES
        for kind in (file.message_types_by_name, file.enum_types_by_name, file.services_by_name)
        for name in kind
    }
    assert len(set(outer)) == len(FILES)
    assert not types & set(outer)
