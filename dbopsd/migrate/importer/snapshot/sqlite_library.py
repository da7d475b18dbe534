"""Settings of a SQLite connection that Python's `sqlite3` cannot make before Python 3.12.

They are made by SQLite's C API, in the library that `sqlite3` itself uses. The well-kept binding
that has all of it, `apsw`, cannot read text that is not UTF-8, which an import has to.
"""

import contextlib
import ctypes
import importlib
import sqlite3
import threading
from collections.abc import Callable
from functools import cache
from typing import Final, TypeVar

from dbopsd.migrate.importer.model.errors import SqliteNotRestricted

ConnectionT = TypeVar("ConnectionT", bound=sqlite3.Connection)

_CONFIG: Final = {
    1004: 0,  # SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER: it hands out and takes addresses
    1005: 0,  # SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION
    1010: 1,  # SQLITE_DBCONFIG_DEFENSIVE
    1017: 0,  # SQLITE_DBCONFIG_TRUSTED_SCHEMA: the file's own SQL gets harmless functions only
}
_KEPT_MODULES: Final = (b"json_each", b"json_tree")
_ADDED_FUNCTIONS: Final = "SELECT DISTINCT name, narg FROM pragma_function_list WHERE NOT builtin"
# Built in, and neither SQLITE_INNOCUOUS nor SQLITE_DIRECTONLY.
_UNSAFE_FUNCTIONS: Final = (
    "SELECT name FROM pragma_function_list"
    " WHERE builtin AND NOT flags & 0x200000 AND NOT flags & 0x80000"
)
_JSON_OPERATORS: Final = frozenset({"->", "->>"})
_FUNCTIONS: Final = (
    "sqlite3_auto_extension",
    "sqlite3_cancel_auto_extension",
    "sqlite3_db_config",
    "sqlite3_drop_modules",
)

_ENTRY: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
# For as long as a connection is opened, what is registered is called for each one that is.
_lock: Final = threading.Lock()


def connect_restricted(connect: Callable[[], ConnectionT]) -> ConnectionT:
    """The connection that `connect` opens, of which little is left that a file could use.

    It is defensive, trusts no schema, loads no extensions, and has no virtual tables but JSON's:
    for all others the modules are missing, and for their functions too. Raises
    `SqliteNotRestricted` where the library does not let us.
    """
    library = _library()
    opened: list[int] = []
    problems: list[int] = []

    def configure(handle: int, _error: int, _api: int) -> int:
        opened.append(handle)
        for setting, value in _CONFIG.items():
            if library.sqlite3_db_config(handle, setting, value, None):
                problems.append(setting)
        return 0

    entry = _ENTRY(configure)
    with _lock:
        library.sqlite3_auto_extension(entry)
        try:
            connection = connect()
        finally:
            library.sqlite3_cancel_auto_extension(entry)
    try:
        if len(opened) != 1 or problems:
            raise SqliteNotRestricted(f"settings {problems} of {len(opened)} connections")
        # Before their modules go: without these they would work on memory that is gone.
        for name, arguments in _added_functions():
            connection.create_function(name, arguments, None)
        kept = (ctypes.c_char_p * (len(_KEPT_MODULES) + 1))(*_KEPT_MODULES, None)
        library.sqlite3_drop_modules(opened[0], kept)
    except BaseException:
        connection.close()
        raise
    return connection


@cache
def _added_functions() -> list[tuple[str, int]]:
    """Those that come with modules. Asked of another connection: the file is not yet looked at."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute(_ADDED_FUNCTIONS).fetchall()


@cache
def json_is_taken_for_unsafe() -> bool:
    """Whether SQLite would let no schema call JSON's functions, as before 3.41, and those alone.

    To trust the schema changes nothing else then: of the functions that are not harmless by
    SQLite's own mark, the others are gone, or may be called by no schema.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        unsafe = {name for (name,) in connection.execute(_UNSAFE_FUNCTIONS)}
    return bool(unsafe) and all(name in _JSON_OPERATORS or "json" in name for name in unsafe)


@cache
def _library() -> ctypes.CDLL:
    # Where it is built into the interpreter the module has no file, and the process its symbols.
    path = getattr(importlib.import_module("_sqlite3"), "__file__", None)
    library = ctypes.CDLL(path)
    for name in _FUNCTIONS:
        if not hasattr(library, name):
            raise SqliteNotRestricted(f"its library shows no {name}")
    library.sqlite3_db_config.argtypes = [
        *(ctypes.c_void_p, ctypes.c_int),
        *(ctypes.c_int, ctypes.c_void_p),
    ]
    library.sqlite3_drop_modules.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p)]
    return library
