"""What a path is asked with."""

from typing import Final

from aiohttp import web

from dbopsd.errors import InvalidField

_BOOLEANS: Final = {"true": True, "false": False}


def parameters(request: web.Request, *known: str) -> dict[str, str]:
    """The query's parameters. Raises `InvalidField` for one that is unknown or comes twice."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            those = f"one of {', '.join(known)}" if known else "a parameter: this path takes none"
            raise InvalidField(name[:100], f"is not {those}")
        if name in found:
            raise InvalidField(name, "is given twice")
        found[name] = value
    return found


def boolean(parameters: dict[str, str], name: str) -> bool:
    """Whether it is `true`; without it, False. Raises `InvalidField`."""
    value = parameters.get(name, "false")
    if value not in _BOOLEANS:
        raise InvalidField(name, "is neither 'true' nor 'false'")
    return _BOOLEANS[value]
