"""Which texts are JSON for PostgreSQL, and how jsonb gives them back.

The standard library's parser does it at the speed of C for texts that are not nested deeply, and
one without recursion for the others.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from dbopsd.migrate.importer.conversion.decimals import read_decimal

DEEPEST: Final = 3000
"""PostgreSQL's parser needs stack for each level: with its default there is some for these."""

# The standard library's parser fails where it meets the interpreter's limit of recursion, which is
# 1000 less what there is already.
_SHALLOW: Final = 200
_BLANKS: Final = " \t\n\r"
_NUL_ESCAPE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_NUMBER_LENGTH: Final = 18
# What no text has that came through: a NUL character before a number.
_NUMBER: Final = re.compile(r'"\\u0000([^"]*)"')
_TOKEN: Final = re.compile(
    r'[ \t\n\r]*(?:([\[\]{},:])|("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*")'
    r"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)|(true|false|null))"
)
_END: Final = re.compile(r"[ \t\n\r]*\Z")


class NotJson(ValueError):
    """The text is not JSON, or nested too deeply for PostgreSQL."""


class NumberOutOfRange(ValueError):
    """jsonb holds its numbers as numeric, and there is none as large or as fine."""


class NulEscape(ValueError):
    r"""jsonb holds its texts as text, which has no \u0000."""


class AlteredByJsonb(ValueError):
    """jsonb keeps the last of several members with one key, and a zero without its sign.

    `canonical` is the text that it gives back.
    """

    def __init__(self, canonical: str) -> None:
        super().__init__(canonical)
        self.canonical = canonical


def check_json(text: str) -> None:
    """Raises `NotJson`."""
    if _is_shallow(text):
        _parse(_CHECKER, text)
    else:
        _rewrite(text, str, str, lambda: None)


def canonical_json(text: str) -> str:
    r"""The text that PostgreSQL's jsonb gives back for a JSON text that means the same.

    Keys by length and then by their bytes, numbers as numeric writes them. Raises `NotJson`,
    `NumberOutOfRange`, `NulEscape` and `AlteredByJsonb`. A surrogate without the other one stays
    in the result, which cannot be encoded then.
    """
    if "\\u0000" in text and _NUL_ESCAPE.search(text):
        check_json(text)
        raise NulEscape
    reading = _Reading()
    if _is_shallow(text):
        result = _dump(_parse(reading.decoder, text))
        result = _NUMBER.sub(r"\1", result) if "\\u0000" in result else result
    else:
        result = _rewrite(
            text, reading.number, lambda literal: _dump(json.loads(literal)), reading.repeated
        )
    if reading.altered:
        raise AlteredByJsonb(result)
    return result


def _is_shallow(text: str) -> bool:
    return text.count("[") + text.count("{") <= _SHALLOW


def _refuse(_constant: str) -> NoReturn:
    raise NotJson


class _Reading:
    """Reads numbers and objects as jsonb does, and notes where these are others then."""

    def __init__(self) -> None:
        self.altered = False
        self.decoder = json.JSONDecoder(
            parse_int=self._int,
            parse_float=self._float,
            parse_constant=_refuse,
            object_pairs_hook=self._object,
        )

    def repeated(self) -> None:
        """A key has come for the second time."""
        self.altered = True

    def number(self, text: str) -> str:
        """A number as numeric writes it. Raises `NumberOutOfRange`."""
        if len(text) <= _NUMBER_LENGTH and "e" not in text and "E" not in text:
            written = text
        else:
            number = read_decimal(text.encode())
            if number is None:
                raise NumberOutOfRange
            written = str(number)
        if text[0] == "-" and not written.strip("-0."):
            self.altered = True
            return written.removeprefix("-")
        return written

    def _float(self, text: str) -> str:
        return "\0" + self.number(text)

    def _int(self, text: str) -> int | str:
        if len(text) <= _NUMBER_LENGTH and text != "-0":
            return int(text)
        return self._float(text)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        self.altered |= len(members) != len(pairs)
        return dict(sorted(members.items(), key=_key_order))


def _key_order(item: tuple[str, Any]) -> tuple[int, bytes]:
    key = item[0].encode(errors="surrogatepass")
    return len(key), key


# Whatever is read is thrown away: a float takes digits of any length.
_CHECKER: Final = json.JSONDecoder(parse_int=float, parse_constant=_refuse)
_dump: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def _parse(decoder: json.JSONDecoder, text: str) -> Any:
    text = text.strip(_BLANKS)
    try:
        value, end = decoder.raw_decode(text)
    except json.JSONDecodeError:
        raise NotJson from None
    if end != len(text):
        raise NotJson
    return value


def _rewrite(
    text: str,
    number: Callable[[str], str],
    string: Callable[[str], str],
    repeated: Callable[[], None],
) -> str:
    """The text in jsonb's form, without recursion. Raises `NotJson`, and what the three raise.

    `repeated` is called for each member whose key the object has already.
    """
    # What is open: members by their key, or elements; None for the whole text.
    open_: list[dict[str, str] | list[str]] = [[]]
    keys: list[str | None] = [None]
    value: str | None = None
    expected = "value"
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            break
        at = match.end()
        mark, literal, digits, word = match.groups()
        if mark in ("[", "{") and expected in ("value", "value or ]"):
            open_.append([] if mark == "[" else {})
            keys.append(None)
            if len(open_) - 1 > DEEPEST:
                raise NotJson
            expected = "value or ]" if mark == "[" else "key or }"
            continue
        container = open_[-1]
        if literal is not None and expected in ("key", "key or }"):
            keys[-1] = string(literal)
            expected = ":"
            continue
        if mark == ":" and expected == ":":
            expected = "value"
            continue
        if mark == "," and expected == "," and len(open_) > 1:
            expected = "value" if isinstance(container, list) else "key"
            continue
        if mark == "]" and isinstance(container, list) and expected in (",", "value or ]"):
            value = f"[{', '.join(container)}]"
        elif mark == "}" and isinstance(container, dict) and expected in (",", "key or }"):
            value = _object(container)
        elif mark is None and expected in ("value", "value or ]"):
            value = string(literal) if literal is not None else word or number(digits)
            open_.append([])
            keys.append(None)
        else:
            raise NotJson
        open_.pop()
        keys.pop()
        if not open_:
            raise NotJson
        above = open_[-1]
        if isinstance(above, list):
            above.append(value)
        else:
            key = keys[-1]
            assert key is not None  # noqa: S101
            if above.pop(key, None) is not None:
                repeated()
            above[key] = value
        expected = ","
    if len(open_) != 1 or expected != "," or _END.match(text, at) is None:
        raise NotJson
    whole = open_[0]
    assert isinstance(whole, list)  # noqa: S101
    return whole[0]


def _object(members: dict[str, str]) -> str:
    ordered = sorted(members.items(), key=lambda item: _key_order((json.loads(item[0]), None)))
    return "{" + ", ".join(f"{key}: {value}" for key, value in ordered) + "}"
