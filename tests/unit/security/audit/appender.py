"""Appends to the log named first, as fast as it can, and tells what was acknowledged: to be killed.

Each call's number is printed, on its own line, once the journal said that it is on disk.
"""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from dbopsd.security.audit.journal import AuditJournal
from tests.support.auditlog import call, writer


async def main(path: Path, first: int) -> None:
    journal = AuditJournal(writer(path, rotate_bytes=8192))
    await journal.start()
    os.write(1, b"started\n")

    async def one(number: int) -> None:
        await journal.append(call(number))
        os.write(1, b"%d\n" % number)

    number = first
    while True:
        await asyncio.gather(*(one(number + index) for index in range(7)))
        number += 7


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
