"""The kinds of stores, by the scheme of their URLs."""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from dbopsd.backup.store.base import Store
from dbopsd.backup.store.file_store import FileStore
from dbopsd.backup.store.object_store import ObjectStore
from dbopsd.config.backup import DatabaseBackupConfig

_LOCAL_HTTP: Final = "http://"

OpenStore = Callable[[DatabaseBackupConfig], Store]


def open_store(config: DatabaseBackupConfig) -> Store:
    """The store of a configuration. It is not asked anything yet."""
    return OPENERS[urlsplit(config.store).scheme](config)


def _open_directory(config: DatabaseBackupConfig) -> Store:
    return FileStore(Path(unquote(urlsplit(config.store).path)))


def _open_bucket(config: DatabaseBackupConfig) -> Store:
    options = {"endpoint": config.endpoint, "region": config.region}
    if config.access_key_id is not None and config.secret_access_key is not None:
        options["access_key_id"] = config.access_key_id.get_secret_value()
        options["secret_access_key"] = config.secret_access_key.get_secret_value()
    return ObjectStore(
        config.store,
        {name: value for name, value in options.items() if value},
        timeout_s=config.timeout_s,
        allow_http=(config.endpoint or "").startswith(_LOCAL_HTTP),
    )


OPENERS: Final[dict[str, OpenStore]] = {
    "file": _open_directory,
    "s3": _open_bucket,
    "gs": _open_bucket,
    "az": _open_bucket,
}
"""Another kind of store is one module and one line here."""
