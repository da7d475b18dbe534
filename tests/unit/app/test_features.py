"""What a process loads of the features that it does not run."""

from tests.support.loaded_modules import loaded_modules


def test_a_worker_loads_nothing_that_only_the_api_process_runs() -> None:
    loaded = loaded_modules("import dbopsd.__main__, dbopsd.app.worker_process")
    assert "dbopsd.app.features" in loaded
    unwanted = ("dbopsd.metrics", "dbopsd.http", "numpy", "pyarrow", "aiohttp.web", "postgast")
    assert [each for each in sorted(loaded) if each.startswith(unwanted)] == []
