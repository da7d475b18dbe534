"""Folders of migrations."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.model.migration_file import Folder

ReadFiles = Callable[..., Folder]


@pytest.fixture
def read_files(tmp_path: Path) -> ReadFiles:
    """Writes files, by their paths, and reads the folder with a layout and variables."""

    def read(
        files: Mapping[str, str | bytes],
        layout: str = "auto",
        variables: Mapping[str, str] | None = None,
    ) -> Folder:
        for path, content in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        config = DatabaseMigrationsConfig.model_validate(
            {"layout": layout, "variables": dict(variables or {})}
        )
        return read_folder(MigrationSetConfig(set="default", dir=tmp_path), config)

    return read
