"""What a worker needs of CPU and memory: what it uses at rho*, with some to spare.

The spec's values are the start. CPU is learned from the CPU seconds that a second of loop time
takes: less than one where callbacks block, more where threads compute.

    CPU = max(rho*, busiest loop) x CPU seconds / loop seconds x 1.1

A service that uses 0.9 CPU seconds per loop second, planned at rho* = 0.65: 0.65 x 0.9 x 1.1 = 0.64
cores. Where threads run out before loops are at rho*, the utilization that loops then reach counts
instead. Memory is the highest that workers of a pod had resident, divided by their number, x 1.25.

More is requested at once, so that nothing runs below its use for long. Less must suffice for ten
minutes first, and by 15 %: each change resizes every pod. Either stays between a fifth and four
times of the spec's value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from aiapi_operator.api.quantity import (
    format_cpu,
    format_memory,
    is_quantity,
    parse_bytes,
    parse_cores,
)
from aiapi_operator.sizing import peaks, windows
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.inputs import PodSample, SizingSpec
from aiapi_operator.sizing.learners.utilization import target
from aiapi_operator.sizing.state import SLOW_WINDOW, PeakWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUseTuning:
    """Numbers of this learner."""

    cpu_spare: float = 1.1
    memory_spare: float = 1.25
    """Factors on what is used. VPA's default safety margin is 1.15 for both."""
    loaded: float = 0.05
    """Utilization below which housekeeping blurs what a loop second costs."""
    less: float = 0.85
    """Share of the current request below which a lower one is worth a resize."""
    down_after: float = 600.0
    """Seconds for which less must have sufficed."""
    range: float = 4.0
    """Most that is requested, over the spec's value; a fifth is the least."""


TUNING = WorkerUseTuning()
PODS = 50
"""Pods that are looked at in a tick."""
CPU_STEP = 0.01
MEMORY_STEP = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUse:
    """What a worker requests as learned (0: as in the spec), and what it used."""

    cpu: float = 0.0
    """Cores."""
    memory: int = 0
    """Bytes."""
    cpu_peaks: PeakWindow = ()
    memory_peaks: PeakWindow = ()
    since: float | None = None


def priced(spec: SizingSpec, use: WorkerUse | None) -> SizingSpec:
    """The spec with what a worker requests now."""
    if use is None or not spec.learn_resources:
        return spec
    return replace(
        spec,
        worker_cpu=_bounded(use.cpu or spec.worker_cpu, spec.worker_cpu),
        worker_memory=int(_bounded(use.memory or spec.worker_memory, spec.worker_memory)),
    )


def learn(known: WorkerUse | None, facts: Facts) -> WorkerUse | None:
    """Follow what workers use."""
    spec, now = facts.spec, facts.now
    if not spec.learn_resources:
        return None
    known = known or WorkerUse()
    if facts.tick is None:
        return known
    since = now if known.since is None else known.since
    known = replace(
        known,
        since=since,
        cpu_peaks=_push(known.cpu_peaks, _cpu(facts), now),
        memory_peaks=_push(known.memory_peaks, _memory(facts.seen.samples), now),
    )
    down = now - since >= TUNING.down_after
    cores, octets = spec.worker_cpu, float(spec.worker_memory)
    memory = _follow(known.memory, octets, peaks.peak(known.memory_peaks), MEMORY_STEP, down=down)
    return replace(
        known,
        cpu=_follow(known.cpu, cores, peaks.peak(known.cpu_peaks), CPU_STEP, down=down),
        memory=int(memory),
    )


def _push(window: PeakWindow, value: float | None, now: float) -> PeakWindow:
    if value is None:
        return peaks.expire(window, time=now, window=TUNING.down_after)
    return peaks.push(window, time=now, value=value, window=TUNING.down_after)


def _cpu(facts: Facts) -> float | None:
    """Cores that a worker needs, from a whole window; None where too little is known."""
    ticks = facts.ticks
    if windows.span(ticks) < 0.9 * SLOW_WINDOW:
        return None
    loop, workers = windows.mean(ticks, "loop"), windows.mean(ticks, "workers")
    if workers <= 0 or loop < TUNING.loaded * workers:
        return None
    reached = windows.loops_when_threads_run_out(ticks, target(facts).utilization)
    busiest = max(reached, windows.mean(ticks, "busiest"))
    return busiest * windows.mean(ticks, "cpu") / loop * TUNING.cpu_spare


def _memory(samples: Sequence[PodSample]) -> float | None:
    """Bytes that a worker needs, by the pod that uses most."""
    used = [
        sample.rss_bytes / (sample.workers_ready + sample.workers_draining)
        for sample in samples[:: max(1, len(samples) // PODS)]
        if sample.ready and sample.workers_ready > 0 and sample.rss_bytes > 0
    ]
    return max(used) * TUNING.memory_spare if used else None


def _bounded(value: float, start: float) -> float:
    return min(TUNING.range * start, max(start / 5, value))


def _follow(now: float, start: float, needed: float | None, step: float, *, down: bool) -> float:
    """The new value: up at once, down when ``down``; 0 means the spec's value."""
    current = now or start
    if needed is None:
        return now
    needed = step * ceil(_bounded(needed, start) / step - 1e-6)
    if needed > 1.05 * current or (down and needed < TUNING.less * current):
        return needed
    return now


def checkpoint(known: WorkerUse, _: Saved) -> dict[str, Any]:
    """``workerCpu`` and ``workerMemory``."""
    fields: dict[str, Any] = {}
    if known.cpu:
        fields["workerCpu"] = format_cpu(round(known.cpu, 3))
    if known.memory:
        fields["workerMemory"] = format_memory(known.memory)
    return fields


def restore(saved: Saved) -> WorkerUse | None:
    """Read them back. They fall only after a whole window."""
    cpu, memory = saved.get("workerCpu"), saved.get("workerMemory")
    return WorkerUse(
        cpu=parse_cores(cpu) if isinstance(cpu, str) and is_quantity(cpu) else 0.0,
        memory=parse_bytes(memory) if isinstance(memory, str) and is_quantity(memory) else 0,
    )


LEARNER = Learner(
    kind=WorkerUse, learn=learn, checkpoint=checkpoint, restore=restore, tuning=TUNING
)
