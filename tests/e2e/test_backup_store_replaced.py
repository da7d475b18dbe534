"""A store whose disk is not mounted is no empty store, also for a daemon that has just begun."""

import pytest

from tests.support.backup_site import backup_site
from tests.support.patience import eventually_blocking


@pytest.mark.thorough
def test_an_empty_directory_in_place_of_the_store_is_refused() -> None:
    with backup_site() as site:
        store, away = site.directory / "store", site.directory / "away"
        eventually_blocking((store / "_store.json").exists, 60, "the store is used")
        assert site.json("list")["backups"] == []
        store.rename(away)
        store.mkdir()
        for restarted in (False, True):
            if restarted:
                site.start()
            for command in (("list",), ("windows",), ("verify", "--all"), ("create",)):
                answer = site.dbops(*command, "--output", "json")
                assert answer.code in (1, 3), (command, answer)
                assert "is not the one that was here" in answer.err, (command, answer)
            assert "is not the one that was here" in site.json("wal", "status")["problem"]
            assert list(store.iterdir()) == []
        store.rmdir()
        away.rename(store)
        assert site.json("list")["backups"] == []
