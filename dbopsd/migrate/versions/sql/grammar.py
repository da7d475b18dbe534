"""PostgreSQL's own grammar: libpg_query, in the build that postgast brings.

postgast itself is not imported: it makes a Python class of every message of the parse tree, which
takes longer than to parse a thousand files.
"""

import ctypes
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, Structure, c_char_p, c_int
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_PACKAGE: Final = "postgast"
_LIBRARIES: Final = ("libpg_query.so", "libpg_query.dylib", "pg_query.dll")


@dataclass(eq=False)
class SyntaxProblem(Exception):
    """The grammar refuses the text. A newer server may know what the grammar does not."""

    message: str
    """The parser's own, such as `syntax error at or near "tabel"`."""
    position: int | None
    """The character at which it was found, from 0; None: it is not known."""

    def __str__(self) -> str:
        return self.message


# https://github.com/pganalyze/libpg_query/blob/18-latest/pg_query.h
class _Error(Structure):
    _fields_ = (
        ("message", c_char_p),
        ("funcname", c_char_p),
        ("filename", c_char_p),
        ("lineno", c_int),
        ("cursorpos", c_int),
        ("context", c_char_p),
    )


class _ParseResult(Structure):
    _fields_ = (
        ("parse_tree", c_char_p),
        ("stderr_buffer", c_char_p),
        ("error", POINTER(_Error)),
    )


class _SplitStatement(Structure):
    _fields_ = (("stmt_location", c_int), ("stmt_len", c_int))


class _SplitResult(Structure):
    _fields_ = (
        ("stmts", POINTER(POINTER(_SplitStatement))),
        ("n_stmts", c_int),
        ("stderr_buffer", c_char_p),
        ("error", POINTER(_Error)),
    )


# Each function's result, and what frees it.
_FUNCTIONS: Final[dict[str, tuple[type[Structure], str]]] = {
    "pg_query_parse": (_ParseResult, "pg_query_free_parse_result"),
    "pg_query_split_with_parser": (_SplitResult, "pg_query_free_split_result"),
}


def parse_tree(text: str) -> bytes:
    """The parse tree of a text as JSON. Raises `SyntaxProblem`.

    Of a text that nests deeply, writing the tree down takes much of the stack, or all of it.
    """
    with _result("pg_query_parse", text) as result:
        tree: bytes = result.parse_tree
        return tree


def statement_spans(text: str) -> list[tuple[int, int]]:
    """Where each statement begins in the text's UTF-8, and its length. Raises `SyntaxProblem`.

    Safe on any text without a NUL, which would end it.
    """
    with _result("pg_query_split_with_parser", text) as result:
        statements = (result.stmts[number].contents for number in range(result.n_stmts))
        return [(each.stmt_location, each.stmt_len) for each in statements]


@contextmanager
def _result(function: str, text: str) -> Iterator[Any]:
    library = _library()
    result = getattr(library, function)(text.encode())
    try:
        if result.error:
            error = result.error.contents
            # It counts characters, from 1.
            position = error.cursorpos - 1 if error.cursorpos > 0 else None
            raise SyntaxProblem(error.message.decode(errors="replace"), position)
        yield result
    finally:
        getattr(library, _FUNCTIONS[function][1])(result)


@cache
def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec(_PACKAGE)
    places = (spec.submodule_search_locations or ()) if spec else ()
    found = [Path(place, name) for place in places for name in _LIBRARIES]
    path = next((each for each in found if each.is_file()), None)
    if path is None:
        raise ImportError(f"{_PACKAGE} has no libpg_query")
    library = ctypes.CDLL(str(path))
    for function, (result, free) in _FUNCTIONS.items():
        getattr(library, function).argtypes = (c_char_p,)
        getattr(library, function).restype = result
        getattr(library, free).argtypes = (result,)
        getattr(library, free).restype = None
    return library
