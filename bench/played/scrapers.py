"""Prometheus, many times over: each scrapes `/metrics` of one database at a steady pace."""

import asyncio
import math
import time
from typing import Any

import aiohttp

from bench.played.commands import answer_commands

# As Prometheus 2 asks.
_HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": "Prometheus/2.42.0",
}


async def scrape(url: str, scrapers: int, every_s: float, seconds: float) -> dict[str, Any]:
    """Scrape by `scrapers` connections, spread over the interval; latencies in milliseconds.

    A latency counts from when the scrape was due.
    """
    latencies_ms: list[float] = []
    failures: list[str] = []
    sizes: set[int] = set()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, headers=_HEADERS, auto_decompress=False
    ) as session:

        async def one(due: float) -> None:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            try:
                async with session.get(url, timeout=aiohttp.ClientTimeout(10)) as response:
                    sizes.add(len(await response.read()))
                    if response.status != 200:
                        failures.append(str(response.status))
            except (aiohttp.ClientError, TimeoutError) as exc:
                failures.append(repr(exc))
            latencies_ms.append((time.perf_counter() - due) * 1000)

        async def scraper(number: int, began: float) -> None:
            for turn in range(round(seconds / every_s)):
                await one(began + every_s * (turn + number / scrapers))

        began = time.perf_counter()
        await asyncio.gather(*(scraper(number, began) for number in range(scrapers)))
    ordered = sorted(latencies_ms)

    def rank(share: float) -> float:
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return {
        "count": len(ordered),
        "p50_ms": rank(0.5),
        "p99_ms": rank(0.99),
        "max_ms": rank(1),
        "failures": failures,
        "bytes": max(sizes, default=0),
    }


if __name__ == "__main__":
    asyncio.run(answer_commands({"scrape": scrape}))
