"""What lives as long as the daemon is spared by the garbage collector."""

import subprocess
import sys

# In a process of its own: freezing cannot be undone for one test's objects alone.
_PROGRAM = """
import asyncio, gc
from dbopsd.app.garbage_collector import spare_what_stays

def kept():
    return [[] for _ in range(100_000)]

early, late = kept(), []

async def main():
    task = asyncio.create_task(spare_what_stays(0.2))
    await asyncio.sleep(0.1)
    first = gc.get_freeze_count()
    late.extend(kept())
    await task
    print(first, gc.get_freeze_count(), len(gc.get_objects()))

asyncio.run(main())
"""


def test_what_was_loaded_at_the_start_and_soon_after_is_left_out() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    first, second, left = map(int, done.stdout.split())
    assert first > 100_000
    assert second > first + 90_000
    assert left < 10_000
