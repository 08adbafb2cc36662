"""Half an hour of load with a worker change every ten seconds: counts errors and watches memory.

    python benchmarks/soak.py [--minutes 30] [--load 0.8]

One core serves 2 to 3 workers at 80 % of the capacity of two; the load is open loop. Memory is that
of the pod each time two workers are settled. Prints one line per minute and writes
build/bench/soak.json.
"""

import argparse
import asyncio
import json
import statistics
import sys
from time import perf_counter
from typing import Any

import aiohttp
from runtime import TOKEN, machine
from service_bench.harness import ROOT, Row, Server, load, ours, running

OUT = ROOT / "build" / "bench" / "soak.json"
CHANGE_SECONDS = 10.0


class Admin:
    """The pod's admin port."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{server.admin}"
        self._session = session

    async def resize(self, count: int) -> None:
        async with self._session.put(f"{self._url}/workers", json={"count": count}) as answer:
            answer.raise_for_status()

    async def stats(self) -> dict[str, Any]:
        async with self._session.get(f"{self._url}/stats") as answer:
            found: dict[str, Any] = await answer.json()
            return found


async def watch(server: Server, admin: Admin, until: float, sizes: list[int]) -> None:
    """Change the count, and measure the pod while it has two workers and none is draining."""
    minute = perf_counter() + 60
    while perf_counter() < until:
        for count in (3, 2):
            await admin.resize(count)
            await asyncio.sleep(CHANGE_SECONDS)
        workers = (await admin.stats())["workers"]
        if workers["ready"] == 2 and not workers["draining"]:
            sizes.append(server.pss())
        if perf_counter() > minute:
            minute += 60
            print(f"  {len(sizes)} measurements, now {sizes[-1] / 1e6 if sizes else 0:.1f} MB")
            sys.stdout.flush()


async def soak(minutes: float, share: float) -> Row:
    sizes: list[int] = []
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        running(ours("busy_app:app", "--workers=2")) as server,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        best = await load(server, "--closed=64", "--seconds=5", "--warm=2")
        admin = Admin(server, session)
        until = perf_counter() + 60 * minutes
        watcher = asyncio.create_task(watch(server, admin, until, sizes))
        flags = (f"--rate={share * best['rps']}", f"--seconds={60 * minutes}", "--timeout=20")
        seen = await load(server, *flags, "--warm=0")
        await watcher
    # The first minutes fill caches and pools; growth is measured after them.
    settled = sizes[len(sizes) // 5 :] or [0]
    part = max(1, len(settled) // 4)
    first, last = statistics.median(settled[:part]), statistics.median(settled[-part:])
    growth = round(100 * (last / max(first, 1) - 1), 1)
    errors = sum(count for status, count in seen["statuses"].items() if status != "200")
    return Row(
        f"{minutes:g} min at {share:.0%} load, a worker change every {CHANGE_SECONDS:g} s",
        {
            "requests": seen["answered"],
            "errors": errors,
            "statuses": seen["statuses"],
            "p95": seen["p95"],
            "slowest": seen["slowest"],
            "first_mb": round(first / 1e6, 1),
            "last_mb": round(last / 1e6, 1),
            "growth_percent": growth,
        },
        {},
        "memory flat within 5 %, 0 errors",
        errors == 0 and abs(growth) <= 5,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--load", type=float, default=0.8)
    options = parser.parse_args()
    about = machine() | {"command": " ".join(["python", "benchmarks/soak.py", *sys.argv[1:]])}
    print("  ".join(f"{key}: {value}" for key, value in about.items()))
    row = asyncio.run(soak(options.minutes, options.load))
    print(f"{row.name}\n  goal {row.goal}: {'holds' if row.holds else 'DOES NOT HOLD'}")
    print(f"  {json.dumps(row.ours)}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"machine": about, **vars(row)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
