"""Conversions to json and jsonb."""

from typing import ClassVar, Final

import numpy as np
import pyarrow as pa

from dbopsd.migrate.importer.conversion.base import (
    Bad,
    Conversion,
    Payload,
    Reason,
    Vector,
    undecided,
    without_rows,
)
from dbopsd.migrate.importer.conversion.json_validity import (
    AlteredByJsonb,
    NotJson,
    NulEscape,
    NumberOutOfRange,
    canonical_json,
    check_json,
)
from dbopsd.migrate.importer.conversion.texts import bad_texts, text_problem, with_replacements
from dbopsd.migrate.importer.conversion.values import Text, Value, number_text

JSONB_VERSION: Final = b"\x01"
# What jsonb has room for.
_LARGEST_JSONB: Final = 0x0FFFFFFF


class Json(Conversion):
    """Texts that are JSON, byte for byte, and numbers."""

    name = "json"
    types: ClassVar = {"json": pa.binary()}

    def convert_value(self, value: Value) -> Payload | Bad:
        match value:
            case int() | float():
                return self._checked(number_text(value))
            case Text():
                problem = text_problem(value)
                if problem is None:
                    return self._checked(value.decode())
                replaced = self._checked(with_replacements(value))
                stored = replaced.replaced if isinstance(replaced, Bad) else replaced
                return Bad(problem, replaced=stored)
            case _:
                return Bad(Reason.BLOB_IN_TEXT)

    def _checked(self, text: str) -> Payload | Bad:
        try:
            return self._payload(text)
        except NotJson:
            return Bad(Reason.NOT_JSON)
        except NumberOutOfRange:
            return Bad(Reason.OUT_OF_RANGE)
        except NulEscape:
            return Bad(Reason.NUL_CHARACTER)
        except UnicodeEncodeError:
            return Bad(Reason.INVALID_UTF8)

    def _payload(self, text: str) -> Payload | Bad:
        check_json(text)
        return text.encode()

    def array(self, storage_class: str, values: pa.Array) -> Vector:
        if storage_class != "text" or len(bad_texts(values)):
            return undecided(values, self.arrow)
        texts = values.view(pa.string()).to_pylist()
        return self._vector(values, texts)

    def _vector(self, values: pa.Array, texts: list[str | None]) -> Vector:
        bad = [row for row, text in enumerate(texts) if text is not None and not _is_json(text)]
        return without_rows(values, np.array(bad, np.int64))


def _is_json(text: str) -> bool:
    try:
        check_json(text)
    except NotJson:
        return False
    return True


class Jsonb(Json):
    """Texts that mean the same in the form in which jsonb gives them back, and numbers."""

    name = "jsonb"
    types: ClassVar = {"jsonb": pa.binary()}

    def _payload(self, text: str) -> Payload | Bad:
        try:
            return self._stored(canonical_json(text))
        except AlteredByJsonb as altered:
            stored = self._stored(altered.canonical)
            return (
                stored if isinstance(stored, Bad) else Bad(Reason.ALTERED_BY_JSONB, replaced=stored)
            )

    def _stored(self, canonical: str) -> Payload | Bad:
        payload = canonical.encode()
        if len(payload) > _LARGEST_JSONB:
            return Bad(Reason.OUT_OF_RANGE)
        return JSONB_VERSION + payload

    def _vector(self, values: pa.Array, texts: list[str | None]) -> Vector:
        results = [None if text is None else self._checked(text) for text in texts]
        bad = [row for row, result in enumerate(results) if isinstance(result, Bad)]
        for row in bad:
            results[row] = None
        return Vector(pa.array(results, self.arrow), np.array(bad, np.int64))
