"""A store in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure.

Objects are put whole, by one request with a condition: a multipart upload that dies leaves its
parts on the server, and they cost money.
"""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from dbopsd.backup.store.base import Content, ObjectInfo, Store, check_key, check_prefix
from dbopsd.backup.store.errors import (
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    StoreUnsuitable,
)

_SERVICES: Final[Mapping[str, Any]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}

# One answer. Longer waits and another try are the caller's.
_CONNECT_S: Final = 10
_READ_S: Final = 60
_LISTED_AT_ONCE: Final = 1_000
_DENIED: Final = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_STATUS: Final = re.compile(r"\b(?P<status>40[13]) (?:Unauthorized|Forbidden)")


class ObjectStore(Store):
    """The objects below `url`, `s3://bucket/prefix` (also `gs://`, `az://`).

    `options` are those of the service in obstore, such as `endpoint` and `region`. What is not
    among them comes from the environment and the machine's role, as the service's own tools have
    it. `allow_http`: for a server on the same machine or a trusted network.
    """

    def __init__(
        self, url: str, options: Mapping[str, str] | None = None, *, allow_http: bool = False
    ) -> None:
        self.url = url.rstrip("/")
        found = urlsplit(self.url)
        client = {
            "connect_timeout": timedelta(seconds=_CONNECT_S),
            "timeout": timedelta(seconds=_READ_S),
            "allow_http": allow_http,
        }
        self._store = _SERVICES[found.scheme](
            found.netloc,
            prefix=found.path.strip("/") or None,
            client_options=client,
            # A retry that is not ours could find our own object and say that it exists.
            retry_config={"max_retries": 0},
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
        except exceptions.BaseError as error:
            raise self._explain(error) from error

    async def read(self, key: str) -> bytes:
        check_key(key)
        try:
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())
        except (exceptions.NotFoundError, FileNotFoundError):
            raise ObjectMissing(self.url, key) from None
        except exceptions.BaseError as error:
            raise self._explain(error) from error

    async def info(self, key: str) -> ObjectInfo | None:
        check_key(key)
        try:
            found = await obstore.head_async(self._store, key)
        except (exceptions.NotFoundError, FileNotFoundError):
            return None
        except exceptions.BaseError as error:
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
        except exceptions.BaseError as error:
            raise self._explain(error) from error

    async def delete(self, key: str) -> None:
        check_key(key)
        try:
            await obstore.delete_async(self._store, key)
        except (exceptions.NotFoundError, FileNotFoundError):
            return
        except exceptions.BaseError as error:
            raise self._explain(error) from error

    def _explain(self, error: exceptions.BaseError) -> StoreError:
        problem = " ".join(str(error).split())[:300]
        if isinstance(error, _DENIED) or _STATUS.search(problem):
            return StoreDenied(self.url, problem)
        if isinstance(error, exceptions.NotSupportedError):
            return StoreUnsuitable(self.url, "it cannot create an object only if it is not there")
        return StoreUnavailable(self.url, problem)
