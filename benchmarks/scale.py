"""One operator with thousands of AIApis and pods. Run: make bench-scale.

The operator is a real process. The API server and the pods are stand-ins on loopback, because a
machine that runs 10,000 pods is not at hand: objects of real size, answers in the pods' real
format. CPU seconds are the operator's own, so other processes matter little; lateness depends on
free CPU, which is printed beside it.
"""

import argparse
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import goal_rows
from goal_rows import Row
from scale_bench import scenarios, sizing_table
from scale_bench.processes import Operator
from scale_bench.scenarios import PER_POD, Cluster, Rest, Size, cluster, run_operator
from scale_bench.sizing_table import Measured

OUTPUT = Path(__file__).parents[1] / "build" / "bench" / "scale.json"
MANY = Size(aiapis=1000, pods=10, most=16)
FEW = Size(aiapis=100, pods=10, most=16)
SMALL = Size(aiapis=5000, pods=2, most=3)
LARGE = Size(aiapis=1, pods=3000, most=3500)
CHURN = Size(aiapis=200, pods=1, most=2)
ALL, ONE_IN_TEN = "all under load", "one in ten under load"


MEASURED: list[Measured] = []
"""The rows of the sizing table."""


def note(on: Cluster, up: Operator, rest: Rest, load: str) -> None:
    """Add a row to the sizing table."""
    row = Measured(
        cluster=f"{on.size}, {load}",
        cores=rest.cores,
        ticks=rest.ticks / rest.seconds,
        memory=up.memory(),
    )
    MEASURED.append(row)


def many(folder: Path, seconds: float) -> Iterator[Row]:
    """1,000 AIApis of 10 pods: a first operator creates everything, a second one takes over."""
    with cluster(MANY, folder, created=False) as on:
        on.load(PER_POD)
        with run_operator(on) as up:
            time.sleep(10)
            base = up.memory()
            on.api.do("create", first=0, count=MANY.aiapis, replicas=MANY.pods, most=MANY.most)
            scenarios.await_that(lambda: on.seen() >= MANY.aiapis * MANY.pods, 300)
            scenarios.learned(on)
        on.board.scrapes[:] = 0
        on.api.do("reset")
        began = time.monotonic()
        with run_operator(on) as up:
            yield from scenarios.start(on, up, began)
            scenarios.settled(on, 90)
            rest = scenarios.observe(up, on, seconds)
            note(on, up, rest, ALL)
            yield from scenarios.steady(on, rest)
            yield from scenarios.memory(base, on, up)
            yield from scenarios.page(up, on)
            yield from scenarios.edits(on, 20)
            yield from scenarios.burst(on, 5)
            rest = yield from scenarios.mostly_idle(on, up, seconds)
            note(on, up, rest, ONE_IN_TEN)
            yield from scenarios.first_requests(on)
            yield from scenarios.at_rest(on, up, seconds)


def few(folder: Path, seconds: float) -> Iterator[Row]:
    """100 AIApis of 10 pods, for the sizing table."""
    with cluster(FEW, folder) as on, run_operator(on) as up:
        on.load(PER_POD)
        scenarios.await_that(lambda: on.seen() >= FEW.aiapis * FEW.pods, 120)
        scenarios.learned(on)
        rest = scenarios.observe(up, on, seconds)
        yield Row(
            name=f"{FEW}: what it takes",
            goal="p99 lateness <= 0.5 s",
            value=f"{rest}, p99 lateness <= {rest.lag:g} s, {up.memory() / 1e6:.0f} MB",
            holds=rest.lag <= 0.5,
        )
        note(on, up, rest, ALL)


def small(folder: Path, seconds: float) -> Iterator[Row]:
    """5,000 AIApis of 2 pods."""
    with cluster(SMALL, folder) as on, ExitStack() as stack:
        on.load(PER_POD)
        up = stack.enter_context(run_operator(on))
        pods = SMALL.aiapis * SMALL.pods
        took = scenarios.await_that(lambda: on.seen() >= pods, 300)
        yield Row(
            name=f"{SMALL}: created and under control",
            goal="works",
            value=f"{on.seen():,} of {pods:,} pods" + (f" after {took:.0f} s" if took else ""),
            holds=took is not None,
        )
        rest = scenarios.observe(up, on, seconds)
        yield Row(
            name=f"{SMALL}: what it takes",
            goal="works; late ticks are what breaks first",
            value=f"{rest}, p99 lateness <= {rest.lag:g} s, {up.memory() / 1e6:.0f} MB",
            holds=rest.ticks > 0,
        )
        note(on, up, rest, ALL)


def large(folder: Path, seconds: float) -> Iterator[Row]:
    """One AIApi of 3,000 pods."""
    with cluster(LARGE, folder) as on:
        on.load(PER_POD)
        with run_operator(on) as up:
            scenarios.await_that(lambda: on.seen() >= LARGE.pods, 120)
            scenarios.learned(on)
            rest = scenarios.observe(up, on, seconds)
            each = 1000 * rest.cores * rest.seconds / max(1.0, rest.ticks)
            yield Row(
                name=f"{LARGE}: CPU of a tick",
                goal="<= 100 ms",
                value=f"{each:.0f} ms ({rest})",
                holds=each <= 100,
            )


def churn(folder: Path, _seconds: float) -> Iterator[Row]:
    """AIApis that come and go."""
    with cluster(CHURN, folder, created=False) as on, run_operator(on) as up:
        time.sleep(5)
        yield from scenarios.churn(on, up, 2000)


def overload(folder: Path, seconds: float) -> Iterator[Row]:
    """1,000 x 10 on half of the CPU that it needs: burners share the operator's core."""
    with cluster(MANY, folder) as on:
        on.load(PER_POD)
        with run_operator(on, "taskset", "-c", "0") as up:
            scenarios.await_that(lambda: on.seen() >= MANY.aiapis * MANY.pods, 300)
            scenarios.learned(on)
            need = scenarios.observe(up, on, 20).cores
            others = max(1, round(2 / max(need, 0.05)) - 1)
            on.api.do("reset")
            with ExitStack() as stack:
                for _ in range(others):
                    burner = subprocess.Popen(
                        ["taskset", "-c", "0", "python3", "-c", "while True: pass"],
                        start_new_session=True,
                    )
                    stack.callback(burner.wait)
                    stack.callback(burner.kill)
                yield from scenarios.overload(on, up, max(60.0, seconds))


PARTS: dict[str, Callable[[Path, float], Iterable[Row]]] = {
    "many": many,
    "few": few,
    "small": small,
    "large": large,
    "churn": churn,
    "overload": overload,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=30.0, help="Of each measurement.")
    given = parser.parse_args()
    print(
        f"machine: {platform.processor() or platform.machine()}, python {platform.python_version()}"
    )
    rows: list[Row] = []
    folder = Path(tempfile.mkdtemp(prefix="aiapi-scale-"))
    for name in given.only:
        print(f"\n{name}: {PARTS[name].__doc__}", flush=True)
        for row in PARTS[name](folder, given.seconds):
            rows.append(row)
            verdict = "holds" if row.holds else "MISSED"
            print(f"  {row.name}: {row.value}; goal {row.goal}: {verdict}", flush=True)
    print("\n", *sizing_table.lines(MEASURED), sep="\n")
    goal_rows.write(OUTPUT, rows, seconds=given.seconds, python=platform.python_version())


if __name__ == "__main__":
    main()
