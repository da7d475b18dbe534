"""The errors of a store."""

from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.errors import DbopsError, StatusCode

_MOUNT: Final = "mount its file system, or name its bucket"


@dataclass(eq=False)
class StoreError(DbopsError):
    """The base of what a store's calls raise. `store` is its URL, which holds no secret."""

    reason: ClassVar[str] = "STORE_ERROR"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    store: str


@dataclass(eq=False)
class ObjectExists(StoreError):
    """An object was to be created and is there already, with other content."""

    reason: ClassVar[str] = "OBJECT_EXISTS"
    code: ClassVar[StatusCode] = StatusCode.ALREADY_EXISTS

    key: str

    @property
    def message(self) -> str:
        return (
            f"object '{self.key}' exists in {self.store} with other content: another daemon may "
            "write to the same store; nothing was overwritten"
        )


@dataclass(eq=False)
class ObjectMissing(StoreError):
    """There is no such object."""

    reason: ClassVar[str] = "OBJECT_MISSING"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    key: str

    @property
    def message(self) -> str:
        return f"object '{self.key}' is not in {self.store}: somebody deleted it, or never wrote it"


@dataclass(eq=False)
class ObjectTooLarge(StoreError):
    """An object is larger than what is kept under its name can be. None of it was kept."""

    reason: ClassVar[str] = "OBJECT_TOO_LARGE"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    key: str
    most_bytes: int

    @property
    def message(self) -> str:
        return (
            f"object '{self.key}' in {self.store} has more than the {self.most_bytes} bytes that "
            "it can have: it was not written by dbopsd, or not as it is"
        )


@dataclass(eq=False)
class StoreUnavailable(StoreError):
    """The store gave no answer, or one that may be another the next time."""

    reason: ClassVar[str] = "STORE_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    problem: str

    @property
    def message(self) -> str:
        return f"{self.store} cannot be used at present: {self.problem}; retry when it is reachable"


@dataclass(eq=False)
class StoreFull(StoreError):
    """The store has no room."""

    reason: ClassVar[str] = "STORE_FULL"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    problem: str

    @property
    def message(self) -> str:
        return (
            f"{self.store} is full ({self.problem}): make room, or shorten retention; what was "
            "committed before is whole"
        )


@dataclass(eq=False)
class StoreDenied(StoreError):
    """The store does not let us."""

    reason: ClassVar[str] = "STORE_DENIED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    problem: str

    @property
    def message(self) -> str:
        return (
            f"{self.store} refuses access: {self.problem}; check its credentials and permissions "
            "(create, read, list and delete)"
        )


@dataclass(eq=False)
class StoreUnsuitable(StoreError):
    """The store cannot keep what backups rely on."""

    reason: ClassVar[str] = "STORE_UNSUITABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    problem: str

    @property
    def message(self) -> str:
        return (
            f"{self.store} cannot be used for backups: {self.problem}; mend this, or choose "
            "another store"
        )


@dataclass(eq=False)
class StoreReplaced(StoreError):
    """At a store's URL there is not the store that was there before."""

    reason: ClassVar[str] = "STORE_REPLACED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    problem: str
    has_backups: bool
    """It has no mark, and backups of the database."""
    remembered_in: str
    """The file on `host` that says which one it was."""
    host: str

    @property
    def message(self) -> str:
        which = "this" if self.has_backups else "a new store, or another one,"
        remedy = f"{_MOUNT}; if {which} is the right one, empty {self.remembered_in} on {self.host}"
        return f"the store at {self.store} is not the one that was here: {self.problem}; {remedy}"


@dataclass(eq=False)
class StoreEmpty(StoreError):
    """There is nothing of a database in the store, and it was archived before."""

    reason: ClassVar[str] = "STORE_EMPTY"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    evidence: str
    remember_in: str
    """The file on `host` by which a new store is taken."""
    host: str

    @property
    def message(self) -> str:
        return (
            f"the store at {self.store} has nothing of database '{self.database}', which was "
            f"archived before: {self.evidence}; {_MOUNT}; if it is to be a new store, create the "
            f"empty file {self.remember_in} on {self.host}"
        )


@dataclass(eq=False)
class StoreMarkerDamaged(StoreError):
    """The object that says which store it is says nothing of the kind."""

    reason: ClassVar[str] = "STORE_MARKER_DAMAGED"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    marker: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"'{self.marker}' in {self.store} is not what dbopsd wrote ({self.problem}), so which "
            "store it is is not known: put it back as it was; or remove it if this is the right "
            "store, and the daemon writes another one"
        )


@dataclass(eq=False)
class StoreMemoryUnreadable(StoreError):
    """What this machine keeps in mind of a store cannot be read."""

    reason: ClassVar[str] = "STORE_MEMORY_UNREADABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    path: str
    host: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"{self.path} on {self.host}, which says which store was at {self.store}, cannot be "
            f"read: {self.problem}; let dbopsd's account read it and its directory, or empty the "
            "file if the store is the right one"
        )


@dataclass(eq=False)
class StoreNotPrepared(StoreError):
    """Nobody has prepared the store, or it is another place than is thought."""

    reason: ClassVar[str] = "STORE_NOT_PREPARED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    marker: str

    @property
    def message(self) -> str:
        return (
            f"{self.store} has no '{self.marker}', by which the daemon marks a store that it uses: "
            "start the daemon, or mount the store's file system; nothing was stored"
        )
