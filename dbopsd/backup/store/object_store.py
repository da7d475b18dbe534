"""A store in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure.

Objects are put whole, by one request with a condition: a multipart upload that dies leaves its
parts on the server, and they cost money.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from dbopsd.backup.store.base import (
    MOST_BYTES,
    Content,
    ObjectInfo,
    Store,
    check_key,
    check_prefix,
)
from dbopsd.backup.store.errors import (
    ObjectExists,
    ObjectMissing,
    ObjectTooLarge,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnsuitable,
)

_SERVICES: Final[Mapping[str, Any]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}

# Servers that speak S3's protocol have the deletion of one object; many have no other one.
_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {"s3": {"disable_bulk_delete": True}}
_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 60.0
_LISTED_AT_ONCE: Final = 1_000
# What is not found is Python's own error; every other one is obstore's.
_FAILED: Final = (exceptions.BaseError, OSError)
_NOT_FOUND: Final = (exceptions.NotFoundError, FileNotFoundError)
_DENIED: Final = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_DENIED_STATUS: Final = re.compile(r"\b40[13] (?:Unauthorized|Forbidden)")
_FULL: Final = re.compile(r"\b507 Insufficient Storage|StorageFull|QuotaExceeded|QuotaFull")
_NO_BUCKET: Final = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist")


class ObjectStore(Store):
    """The objects below `url`, `s3://bucket/prefix` (also `gs://`, `az://`).

    `options` are those of the service in obstore, such as `endpoint` and `region`. What is not
    among them comes from the environment and the machine's role, as the service's own tools have
    it. `timeout_s`: for one answer. `allow_http`: for a server on the same machine or a trusted
    network.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, str] | None = None,
        *,
        timeout_s: float = _ANSWER_S,
        allow_http: bool = False,
    ) -> None:
        self.url = url.rstrip("/")
        found = urlsplit(self.url)
        client = {
            "connect_timeout": timedelta(seconds=min(_CONNECT_S, timeout_s)),
            "timeout": timedelta(seconds=timeout_s),
            "allow_http": allow_http,
        }
        self._store = _SERVICES[found.scheme](
            found.netloc,
            prefix=found.path.strip("/") or None,
            client_options=client,
            # A retry that is not ours could find our own object and say that it exists.
            retry_config={"max_retries": 0},
            **_OPTIONS.get(found.scheme, {}),
            **(options or {}),
        )

    async def create(self, key: str, content: Content) -> None:
        check_key(key)
        try:
            await obstore.put_async(self._store, key, content, mode="create", use_multipart=False)
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            # S3 answers 409 also where two create it at once and neither has.
            if await self.info(key) is not None:
                raise ObjectExists(self.url, key) from None
            raise StoreUnavailable(self.url, "two created an object at the same moment") from error
        except _FAILED as error:
            raise self._explain(error) from error

    async def read(self, key: str, most_bytes: int = MOST_BYTES) -> bytes:
        check_key(key)
        try:
            found = await obstore.get_async(self._store, key)
            # No server can send more than the length that it gave before.
            if found.meta["size"] > most_bytes:
                raise ObjectTooLarge(self.url, key, most_bytes)
            return bytes(await found.bytes_async())
        except _NOT_FOUND as error:
            if _NO_BUCKET.search(str(error)):
                raise self._explain(error) from error
            raise ObjectMissing(self.url, key) from None
        except _FAILED as error:
            raise self._explain(error) from error

    async def info(self, key: str) -> ObjectInfo | None:
        check_key(key)
        try:
            found = await obstore.head_async(self._store, key)
        except _NOT_FOUND:
            return None
        except _FAILED as error:
            raise self._explain(error) from error
        return ObjectInfo(key, found["size"], found["last_modified"].timestamp())

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        check_prefix(prefix)
        try:
            stream = obstore.list(self._store, prefix or None, chunk_size=_LISTED_AT_ONCE)
            async for some in stream:
                for found in some:
                    modified_at = found["last_modified"].timestamp()
                    yield ObjectInfo(found["path"], found["size"], modified_at)
        except _FAILED as error:
            raise self._explain(error) from error

    async def folders(self, prefix: str = "") -> Sequence[str]:
        check_prefix(prefix)
        try:
            found = await obstore.list_with_delimiter_async(self._store, prefix or None)
        except _FAILED as error:
            raise self._explain(error) from error
        return sorted(each.rstrip("/").rpartition("/")[2] for each in found["common_prefixes"])

    async def delete(self, key: str) -> None:
        check_key(key)
        try:
            await obstore.delete_async(self._store, key)
        except _NOT_FOUND:
            return
        except _FAILED as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> StoreError:
        problem = " ".join(str(error).split())[:300]
        if isinstance(error, _DENIED) or _DENIED_STATUS.search(problem):
            return StoreDenied(self.url, problem)
        if isinstance(error, exceptions.NotSupportedError):
            return StoreUnsuitable(self.url, "it cannot create an object only if it is not there")
        if _NO_BUCKET.search(str(error)):
            return StoreUnsuitable(self.url, "its bucket does not exist")
        if _FULL.search(str(error)):
            return StoreFull(self.url, problem)
        return StoreUnavailable(self.url, problem)
