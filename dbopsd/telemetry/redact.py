"""Redact credentials in text: the last line of defence."""

import re
from typing import Final

HIDDEN: Final = "***"

_PATTERNS: Final = (
    # postgresql://user:password@host, and any other URL: up to the last @ before the path, for a
    # password may hold one. No scheme is longer, and a long word must not be read from each letter.
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/?#@]*:)[^\s/]*(?=@)", re.IGNORECASE),
    # password=secret, "password": "secret", PGPASSWORD='two words', sslpassword = …
    re.compile(
        r"""(?P<keep>(?:password|passwd|pwd|secret|api[_-]?key|token)["']?\s*[=:]\s*)"""
        r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s,;&'")}\]]+)""",
        re.IGNORECASE,
    ),
    # ALTER ROLE … PASSWORD 'secret'
    re.compile(r"(?P<keep>\bPASSWORD\s+)'(?:[^']|'')*'", re.IGNORECASE),
    # Authorization: Bearer abc, ('authorization', 'Basic abc')
    re.compile(
        r"(?P<keep>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{4,}",
        re.IGNORECASE,
    ),
    # dbopsd's own tokens, wherever they stand.
    re.compile(r"(?P<keep>dbops_)[A-Za-z0-9_-]{43,}"),
    # A JWT: three parts in base64url, of which two are JSON objects: they begin with `{`. The look
    # behind keeps this from beginning anew at each character of a long text.
    re.compile(
        r"(?P<keep>)(?<![A-Za-z0-9_-])"
        r"ey[A-Za-z0-9_-]{8,}\.ey[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{16,}"
    ),
)


def redact(text: str) -> str:
    """`text` with passwords, tokens and keys replaced by `***`."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{HIDDEN}", text)
    return text
