import pytest
from dbops_client import ConfigurationError
from dbops_client._address import Address, parse_address
from dbops_client._names import database_id, database_name


@pytest.mark.parametrize(
    ("text", "target", "tls", "loopback"),
    [
        ("db.example", "db.example:50051", None, False),
        ("db.example:7000", "db.example:7000", None, False),
        ("localhost", "localhost:50051", None, True),
        ("127.8.8.8:1", "127.8.8.8:1", None, True),
        ("10.0.0.7", "10.0.0.7:50051", None, False),
        ("::1", "[::1]:50051", None, True),
        ("[::1]:7000", "[::1]:7000", None, True),
        ("2001:db8::7", "[2001:db8::7]:50051", None, False),
        ("https://db.example", "db.example:443", True, False),
        ("https://db.example:7000/", "db.example:7000", True, False),
        ("HTTPS://db.example", "db.example:443", True, False),
        ("grpcs://db.example", "db.example:50051", True, False),
        ("grpc://localhost", "localhost:50051", False, True),
        ("http://[::1]", "[::1]:80", False, True),
        ("unix:/run/dbopsd.sock", "unix:/run/dbopsd.sock", None, True),
        ("dns:///db.example:7000", "dns:///db.example:7000", None, False),
        ("dns:///localhost:7000", "dns:///localhost:7000", None, True),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2", None, True),
        ("ipv4:127.0.0.1:1,10.0.0.1:2", "ipv4:127.0.0.1:1,10.0.0.1:2", None, False),
        ("ipv6:[::1]:1", "ipv6:[::1]:1", None, True),
    ],
)
def test_an_address_is_read(text, target, tls, loopback):
    assert parse_address(text) == Address(target, tls, loopback)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":50051",
        "db.example:0",
        "db.example:65536",
        "db.example:port",
        "db example",
        "db.example\n",
        "[::1",
        "postgres://db.example/app",
        "https://db.example/dbops",
        "https://",
        "db.example/path",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigurationError):
        parse_address(text)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(ConfigurationError) as caught:
        parse_address("https://admin:s3cret@db.example")
    assert "s3cret" not in str(caught.value)


def test_a_database_is_named_by_its_id_and_by_its_resource_name():
    assert database_name("main") == database_name("databases/main") == "databases/main"
    assert database_id("databases/main") == database_id("main") == "main"
