"""Benchmarks of async, the runtime and the gateway against peers in the same run.

    python benchmarks/service.py [--only NAME ...] [--list]

Servers use one core, the load generator and the fake upstream another. Peers other than Uvicorn run
in build/bench/venv and build/bench/litellm (created by `make bench-service`); without these, their
rows are not measured.
Prints a table and writes build/bench/service.json.
"""

import argparse
import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from os import sysconf
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from subprocess import run
from time import perf_counter
from typing import Any

from runtime import machine
from service_bench import concurrency, connections, overload_rows, passthrough, runtime_rows
from service_bench.harness import CLIENT, LITELLM, PEERS, ROOT, SERVER, Row

MAX_OTHER_CORES = 0.1
OUT = ROOT / "build" / "bench" / "service.json"
ROWS: dict[str, Callable[[], Awaitable[Row]]] = {
    "ai-endpoint": concurrency.ai_endpoint,
    "users-1-core": concurrency.users_one_core,
    "users-2-cores": concurrency.users_two_cores,
    "users-paid": concurrency.users_paid,
    "at-rest": runtime_rows.at_rest,
    "ten-calls": concurrency.ten_calls,
    "four-steps": concurrency.four_steps,
    "pass-through": passthrough.pass_through,
    "overhead": runtime_rows.runtime_overhead,
    "connections": connections.connections,
    "worker-start": runtime_rows.worker_start,
    "lost": runtime_rows.lost_requests,
    "overload": overload_rows.overload,
    "overload-by-times": overload_rows.overload_by_times,
    "generator": runtime_rows.generator,
}


def environment() -> dict[str, Any]:
    info = machine()
    info["command"] = " ".join(["python", "benchmarks/service.py", *sys.argv[1:]])
    info["server_cores"], info["client_cores"] = sorted(SERVER), sorted(CLIENT)
    info["peers"] = {
        one["name"]: one["version"]
        for folder in (LITELLM, PEERS)
        if (folder / "pip").exists()
        for one in json.loads(_output(str(folder / "pip"), "list", "--format=json"))
        if one["name"].lower() in ("flask", "gunicorn", "gevent", "litellm", "requests")
    }
    return info


def _output(*command: str) -> str:
    return run(command, capture_output=True, text=True, check=True).stdout


def show(row: Row, seconds: float) -> None:
    holds = {True: "holds", False: "DOES NOT HOLD", None: "not measured"}[row.holds]
    print(f"\n{row.name}\n  goal {row.goal}: {holds}   ({seconds:.0f} s)")
    for who, found in {"ours": row.ours, **row.peers}.items():
        print(f"  {who:<20} {json.dumps(found)}")
    for note in row.notes:
        print(f"  note: {note}")
    sys.stdout.flush()


def cpu_seconds() -> tuple[float, float]:
    """CPU seconds of the whole machine, and of the ended processes of this run."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    whole = sum(int(fields[at]) for at in (1, 2, 3, 6, 7, 8)) / sysconf("SC_CLK_TCK")
    own = sum(
        used.ru_utime + used.ru_stime
        for used in (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN))
    )
    return whole, own


async def measure(name: str) -> Row:
    """Measure a row, with a note if other processes used the machine meanwhile."""
    (whole, own), began = cpu_seconds(), perf_counter()
    row = await attempt(name)
    (whole_now, own_now), seconds = cpu_seconds(), perf_counter() - began
    others = (whole_now - whole - (own_now - own)) / seconds
    if others > MAX_OTHER_CORES:
        row.notes.append(f"other processes used {others:.2f} cores on average")
    return row


async def attempt(name: str) -> Row:
    try:
        return await ROWS[name]()
    except (OSError, RuntimeError, TimeoutError, ValueError, KeyError) as error:
        # A failed row must not fail the others.
        traceback.print_exc()
        return Row(name, {}, {}, "", None, [f"{type(error).__name__}: {error}"])


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(ROWS))
        return 0
    report = {"machine": environment(), "rows": []}
    print("  ".join(f"{key}: {value}" for key, value in report["machine"].items()))
    for name in options.only:
        began = perf_counter()
        row = await measure(name)
        show(row, perf_counter() - began)
        report["rows"].append({"key": name, **asdict(row)})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(OUT.read_text())["rows"] if OUT.exists() else []
    fresh = {row["key"] for row in report["rows"]}
    report["rows"] += [row for row in known if row["key"] not in fresh]
    report["rows"].sort(key=lambda row: list(ROWS).index(row["key"]))
    OUT.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
