"""How many descriptors a configuration needs, and what it gets where there are fewer."""

import pytest

from dbopsd.app.descriptors import describe_descriptors, descriptor_need
from dbopsd.config import Config
from dbopsd.errors import ConfigurationError


def config(databases: int = 1, *, pool: int = 20, connections: int = 1000, workers: int = 1):
    return Config.model_validate(
        {
            "server": {"max_connections": connections, "workers": workers},
            "databases": {
                f"db{number}": {"dsn": "dbname=x", "pool": {"min_size": 0, "max_size": pool}}
                for number in range(databases)
            },
        }
    )


def test_every_database_and_worker_adds_to_what_is_reserved():
    least = descriptor_need(config()).reserved
    assert descriptor_need(config(2)).reserved == least + 20 + 16
    assert descriptor_need(config(pool=100)).reserved == least + 80
    assert descriptor_need(config(workers=3)).reserved == least + 2 * 8
    assert descriptor_need(Config()).reserved == least


def test_connections_take_what_is_left():
    need = descriptor_need(config())
    assert need.connections_within(need.total) == 1000
    for limit in (256, 1023, need.total - 1):
        fewer = need.connections_within(limit)
        assert 16 <= fewer < 1000
        assert descriptor_need(config(connections=fewer)).total <= limit
        assert descriptor_need(config(connections=fewer + 1)).total > limit


def test_too_few_to_serve_are_refused():
    need = descriptor_need(config(10))
    with pytest.raises(ConfigurationError, match="the limit of file descriptors is 400") as caught:
        need.connections_within(400)
    assert f"at least {need.reserved + 36} are needed" in str(caught.value)


def test_check_config_says_it():
    need = descriptor_need(config())
    assert describe_descriptors(config(), limit=10_000) == (
        f"file descriptors: {need.total} are needed, {need.total - need.reserved} for 1000 "
        f"connections on each listener and {need.reserved} for databases, the control store, "
        "workers and files; the limit here is 10000"
    )
    assert "enough for" in describe_descriptors(config(), limit=1024)
