"""Compares the simulator with reality for five minutes of load. Run: make bench-fidelity.

Reality is the sandbox with the operator, examples/assistant and its stand-in LLM, set up as in the
demo: real workers, real connections, one machine. The load begins with a quiet phase, which gives
the latency at idle loops. Loop time per request, idle utilization and lead times are measured over
the whole run. The simulator gets these, the same arrivals, the spec of the AIApi, and the fleet at
the start of the load. Nothing else is fitted.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import goal_rows
import numpy as np
from goal_rows import Row
from rich.console import Console
from rich.table import Table

from aiapi_demo import cpu_wait, records
from aiapi_demo.environment import NAME, DemoEnvironment, DemoPaths
from aiapi_demo.load import LoadScript
from aiapi_demo.observed import ObservedAIApi, ObservedPod, read_aiapi, read_pod
from aiapi_demo.processes import spawn, stop
from aiapi_demo.schedule import Phase, schedule, starts
from aiapi_operator.api import AIApiSpec
from aiapi_operator.simulate.fleet import IDLE
from aiapi_operator.simulate.measure import RunResult, SizeChange
from aiapi_operator.simulate.policies.aiapi import AIApiPolicy
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import ServiceModel
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.sizing.spec import sizing_spec
from aiapi_operator.sizing.state import Size

SEED = 1
LLM = 0.25
QUIET = 4.0
STEPS = 40
"""Steps of the latency distribution at idle loops that the simulator gets."""
VARIATION = 0.1
"""Of the loop time. The sleep of the example is constant, the overhead of FastAPI is not."""
POLL = 0.25
ROWS = Path("build/bench/fidelity.json")
"""Read by bench-sizing. Not written on a busy machine."""


def phases(minutes: float) -> tuple[Phase, ...]:
    """A quiet phase, then up and down."""
    seconds = 60 * minutes
    shares = (("quiet", 0.15, QUIET), ("low", 0.15, 20.0), ("high", 0.4, 60.0), ("calm", 0.3, 20.0))
    return tuple(
        Phase(name=name, seconds=seconds * share, rate=rate, upstream_seconds=LLM)
        for name, share, rate in shares
    )


@dataclass(slots=True)
class Observations:
    """Observations of the real fleet. Times are ``monotonic``."""

    pods: dict[str, ObservedPod] = field(default_factory=dict)
    created: dict[str, float] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)
    """Seconds from the creation of a pod until it was ready."""
    worker_starts: list[float] = field(default_factory=list)
    changes: list[tuple[float, Size, str]] = field(default_factory=list)
    view: ObservedAIApi = field(default_factory=ObservedAIApi)
    stats: dict[str, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict)
    """By instance: the time, and the response of its admin port."""

    def size(self) -> Size:
        """The wanted size."""
        return Size(workers=self.view.workers or 1, replicas=self.view.replicas or 1)


async def watch_pods(environment: DemoEnvironment, seen: Observations) -> None:
    """Watch the pods, and record how long each took to become ready."""
    labels = f"app.kubernetes.io/instance={NAME}"
    async for kind, obj in environment.kubectl.watch("pods", "-l", labels):
        name = obj["metadata"]["name"]
        seen.created.setdefault(name, monotonic())
        pod = None if kind == "DELETED" else read_pod(obj)
        before = seen.pods.pop(name, None)
        if pod is None:
            continue
        seen.pods[name] = pod
        if pod.ready and not (before and before.ready):
            seen.starts.append(monotonic() - seen.created[name])


async def watch_decisions(environment: DemoEnvironment, seen: Observations) -> None:
    """Watch the decisions of the operator."""
    async for kind, obj in environment.kubectl.watch("aiapi", NAME):
        if kind == "DELETED":
            continue
        before, seen.view = seen.size(), read_aiapi(obj)
        if seen.view.workers and seen.size() != before:
            seen.changes.append((monotonic(), seen.size(), seen.view.message))


async def watch_stats(environment: DemoEnvironment, seen: Observations) -> None:
    """Scrape the pods' counters, and record how long workers take to start."""
    asked: dict[str, float] = {}
    timeout = aiohttp.ClientTimeout(total=2)
    admin = environment.admin
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            for pod in list(seen.pods.values()):
                try:
                    url = admin.url(pod.address, "/stats")
                    async with session.get(url, **admin.options()) as response:
                        stats = await response.json()
                except (aiohttp.ClientError, TimeoutError, OSError):
                    continue
                now, instance = monotonic(), stats["instance"]
                seen.stats.setdefault(instance, []).append((now, stats))
                workers = stats["workers"]
                missing = workers["ready"] < workers["wanted"]
                if missing and pod.ready:
                    asked.setdefault(instance, now)
                elif not missing and instance in asked:
                    seen.worker_starts.append(now - asked.pop(instance))
            await asyncio.sleep(POLL)


async def send(environment: DemoEnvironment, plan: tuple[Phase, ...], out: Path) -> float:
    """Send the load. Returns its start time."""
    script = LoadScript(
        url=f"{environment.url}/v1/answer",
        body={"question": "What does an event loop do while it waits?"},
        phases=plan,
        records=str(out / "requests.jsonl"),
        seed=SEED,
    )
    process = await spawn(
        [sys.executable, "-m", "aiapi_demo.load"],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(script.dump().encode())
        process.stdin.close()
        began = 0.0
        while line := await asyncio.wait_for(process.stdout.readline(), 60):
            event = json.loads(line)
            if event["event"] == "start":
                began = event["start"]
        return began
    finally:
        await stop(process, grace=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reality:
    """A run in the sandbox. Times are seconds since the start of the load."""

    p50: float
    p95: float
    failed: int
    requests: int
    utilization: float
    loop_per_request: float
    idle: float
    quiet: tuple[float, ...]
    """Latencies of the quiet phase."""
    pod_start: float | None
    worker_start: float | None
    changes: tuple[tuple[float, Size, str], ...]
    first: Size
    lead_in: float
    """Seconds that the operator had run before the load began."""
    spec: AIApiSpec


async def live(plan: tuple[Phase, ...], root: Path, out: Path, say: Any) -> Reality:
    """Set up the environment, send the load, and measure."""
    async with DemoEnvironment(DemoPaths(root=root, out=out), say) as environment:
        await environment.set_up()
        await environment.llm.set_latency(LLM)
        seen, operator_began = Observations(), monotonic()
        async with asyncio.TaskGroup() as tasks:
            watchers = [
                tasks.create_task(watch(environment, seen))
                for watch in (watch_pods, watch_decisions, watch_stats)
            ]
            await asyncio.sleep(12)  # the idle utilization of the loops is measured before the load
            began = await send(environment, plan, out)
            for watcher in watchers:
                watcher.cancel()
        obj = await environment.kubectl.get("aiapi", NAME)
        spec = AIApiSpec.model_validate(obj["spec"])
    return measure(
        plan,
        records.read(out / "requests.jsonl"),
        seen,
        spec=spec,
        began=began,
        operator_began=operator_began,
    )


def measure(  # noqa: PLR0913 - all inputs of a run
    plan: tuple[Phase, ...],
    requests: Sequence[records.RequestRecord],
    seen: Observations,
    *,
    spec: AIApiSpec,
    began: float,
    operator_began: float,
) -> Reality:
    """The properties of the service, and the results of the run."""
    latency = [record.latency for record in requests if record.ok]
    end = began + starts(plan)[-1]
    idle_loop, idle_workers, _ = growth(seen, 0.0, began)
    loop, workers, done = growth(seen, began, end + 5)
    idle = idle_loop / idle_workers
    before = [size for at, size, _ in seen.changes if at < began]
    return Reality(
        p50=float(np.percentile(latency, 50)),
        p95=float(np.percentile(latency, 95)),
        failed=sum(not record.ok for record in requests),
        requests=len(requests),
        utilization=loop / workers,
        loop_per_request=(loop - idle * workers) / done,
        idle=idle,
        quiet=tuple(record.latency for record in requests if record.ok and record.phase == 0),
        pod_start=statistics.median(seen.starts[2:]) if len(seen.starts) > 2 else None,
        worker_start=statistics.median(seen.worker_starts) if seen.worker_starts else None,
        changes=tuple((at - began, size, why) for at, size, why in seen.changes if at >= began),
        first=before[-1] if before else Size(workers=1, replicas=2),
        lead_in=began - operator_began,
        spec=spec,
    )


def growth(seen: Observations, start: float, end: float) -> tuple[float, float, float]:
    """The increase of loop seconds, worker seconds and responses of all pods."""
    loop = workers = done = 0.0
    for samples in seen.stats.values():
        inside = [stats for at, stats in samples if start <= at <= end]
        if len(inside) < 2:
            continue
        first, last = inside[0], inside[-1]
        loop += last["loop_seconds"] - first["loop_seconds"]
        workers += last["worker_seconds"] - first["worker_seconds"]
        done += last["requests"]["success"] - first["requests"]["success"]
    return loop, workers, done


def simulated(reality: Reality, plan: tuple[Phase, ...]) -> RunResult:
    """The same load on a model with the measured properties."""
    lead = round(reality.lead_in)
    stamps = np.array([lead + due.at for due in schedule(plan, seed=SEED)])
    seconds = lead + round(starts(plan)[-1])
    counts = np.bincount(stamps.astype(np.int64), minlength=seconds).astype(np.float64)
    base = np.quantile(reality.quiet, np.linspace(0, 1, STEPS + 1)) - reality.loop_per_request
    pods = {}
    if reality.pod_start is not None:
        pods["start"] = f"{1000 * reality.pod_start:.0f}ms"
    if reality.worker_start is not None:
        pods["workerStart"] = f"{1000 * reality.worker_start:.0f}ms"
    service = ServiceModel.model_validate(
        {
            "loop": {"mean": f"{1000 * reality.loop_per_request:.3f}ms", "variation": VARIATION},
            "upstream": {"quantiles": [f"{1000 * max(0.001, step):.3f}ms" for step in base]},
            "clients": {"lifetime": "8s", "deadline": "10s", "retries": {"most": 0}},
            "pods": pods,
        }
    )
    trace = Trace(name="sandbox", counts=counts, timestamps=stamps)
    load = Workload(trace=trace, service=service, seed=SEED)
    spec = sizing_spec(reality.spec)
    return Simulation(load, spec, AIApiPolicy(spec, reality.first)).run()


def measures(reality: Reality, model: RunResult) -> list[tuple[str, float, float, float, str]]:
    """Name, in the sandbox, in the simulator, largest relative difference, unit."""
    return [
        ("p50", reality.p50, model.p50, 0.15, "ms"),
        ("p95", reality.p95, model.p95, 0.15, "ms"),
        ("mean loop utilization", reality.utilization, model.utilization, 0.10, "%"),
    ]


def rows(reality: Reality, model: RunResult) -> list[Row]:
    """The same as rows of the goals table, which bench-sizing includes."""
    return [
        Row(
            name=f"sandbox against simulator: {name}",
            goal=f"within {100 * goal:.0f} %",
            value=f"{100 * (played / real - 1):+.1f} %",
            holds=abs(played / real - 1) <= goal,
        )
        for name, real, played, goal, _ in measures(reality, model)
    ]


def table(reality: Reality, model: RunResult) -> Table:
    """Sandbox and simulator, side by side."""
    shown = Table(box=None, pad_edge=False)
    for column in ("measure", "sandbox", "simulator", "difference", "goal"):
        shown.add_column(column, justify="left" if column == "measure" else "right")
    for name, real, played, goal, unit in measures(reality, model):
        factor = 1000 if unit == "ms" else 100
        apart = played / real - 1
        shown.add_row(
            name,
            f"{factor * real:.1f} {unit}",
            f"{factor * played:.1f} {unit}",
            f"{100 * apart:+.1f} %",
            f"{100 * goal:.0f} %: {'holds' if abs(apart) <= goal else 'missed'}",
        )
    return shown


def decisions(
    real: Sequence[tuple[float, Size, str]], played: Sequence[SizeChange], lead_in: float
) -> Table:
    """The decisions of both, in order."""
    shown = Table(box=None, pad_edge=False)
    for column in ("decision", "sandbox at", "pods x workers", "simulator at", "pods x workers"):
        shown.add_column(column, justify="right")
    later = [(change.at - round(lead_in), change.after) for change in played]
    for index in range(max(len(real), len(later))):
        cells = []
        for sequence in ([(at, size) for at, size, _ in real], later):
            if index < len(sequence):
                at, size = sequence[index]
                cells += [f"{at:.1f} s", f"{size.replicas} x {size.workers}"]
            else:
                cells += ["-", "-"]
        shown.add_row(str(index + 1), *cells)
    return shown


def reasons(reality: Reality, model: RunResult) -> str:
    """The reasons of the decisions."""
    lead = round(reality.lead_in)
    lines = [(at, "sandbox", why) for at, _, why in reality.changes]
    lines += [(change.at - lead, "simulator", change.why) for change in model.changes]
    return "\n".join(f"{at:6.1f} s {where}: {why}" for at, where, why in sorted(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("build/fidelity"))
    arguments = parser.parse_args()
    console = Console(width=120)
    console.print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f" aiapi {version('aiapi')}, seed {SEED}; make bench-fidelity",
        highlight=False,
    )
    out = arguments.out.resolve()
    plan = phases(arguments.minutes)
    before = cpu_wait.read()
    reality = asyncio.run(live(plan, Path.cwd(), out, lambda text: print(text, file=sys.stderr)))
    wait = cpu_wait.between(before, cpu_wait.read())
    model = simulated(reality, plan)
    load = ", ".join(f"{phase.rate:g}/s for {phase.seconds:.0f} s" for phase in plan)
    console.print(f"Load: {load}; {reality.requests} requests, {reality.failed} failed")
    console.print(
        f"Measured: {1000 * reality.loop_per_request:.2f} ms of loop time per request; idle loops"
        f" {100 * reality.idle:.2f} % busy (model: {100 * IDLE:.2f} %); quiet p50"
        f" {1000 * float(np.percentile(reality.quiet, 50)):.0f} ms; workers ready after"
        f" {seconds(reality.worker_start)}, pods after {seconds(reality.pod_start)}",
        highlight=False,
    )
    objective = sizing_spec(reality.spec).objective
    within = f"{1000 * objective.threshold:g} ms"
    console.print(f"Objective: {objective.name} within {within}\n", highlight=False)
    console.print(table(reality, model))
    console.print()
    console.print(decisions(reality.changes, model.changes, reality.lead_in))
    console.print()
    console.print(reasons(reality, model), highlight=False, soft_wrap=True)
    console.print(f"\n{wait}", highlight=False)
    if wait.comparable:
        goal_rows.write(ROWS, rows(reality, model))


def seconds(value: float | None) -> str:
    """A start time."""
    return "- (none started)" if value is None else f"{value:.2f} s"


if __name__ == "__main__":
    main()
