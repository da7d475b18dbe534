"""By what whoever goes on with a migration knows the statements again that are done."""

import hashlib
from collections.abc import Iterable

from dbopsd.migrate.versions.sql.statements import SqlStatement

# No statement has it.
_END = b"\0"


def digests(statements: Iterable[SqlStatement]) -> list[str]:
    """The SHA-256 of the first n statements for each n, from none, whose digest is empty.

    What stands between statements does not count, and line ends are all the same.
    """
    sums, digest = [""], hashlib.sha256()
    for each in statements:
        digest.update(each.text.replace("\r\n", "\n").encode() + _END)
        sums.append(digest.hexdigest())
    return sums
