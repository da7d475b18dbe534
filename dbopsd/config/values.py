"""Types of values, and the base class of every table."""

import ipaddress
import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# AIP-122's resource identifiers.
RESOURCE_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")

# Milliseconds of it fit PostgreSQL's integers; less than one would be no limit at all.
Seconds = Annotated[float, Field(ge=0.001, le=2_147_483)]
Ratio = Annotated[float, Field(ge=0, le=1)]

ValueT = TypeVar("ValueT")


def _named_by_resource_ids(value: dict[str, ValueT]) -> dict[str, ValueT]:
    for name in value:
        if not RESOURCE_ID.fullmatch(name):
            raise ValueError(
                f"has the name '{name}', which is not 1 to 63 of a-z, 0-9 and '-', "
                "starting with a letter"
            )
    return value


ByResourceId = Annotated[dict[str, ValueT], AfterValidator(_named_by_resource_ids)]
"""A table of tables, each named by what can stand in a resource's name."""


def _listen_address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"is '{value}', which is not host:port, such as 127.0.0.1:50051")
    return value


ListenAddress = Annotated[str, AfterValidator(_listen_address)]


def split_listen_address(address: str) -> tuple[str, int]:
    """`host:port` taken apart, an IPv6 address without its brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `host:port`."""
    host, _ = split_listen_address(address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Section(BaseModel):
    """A table: frozen, and no key that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)
