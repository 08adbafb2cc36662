"""Worker use: the CPU and memory requests of a worker, from its use at rho* with a margin.

The spec's values are initial values. CPU follows from the CPU seconds per second of loop time: less
than one if callbacks block, more if threads compute.

    CPU = max(rho*, busiest loop) x CPU seconds / loop seconds x 1.1

Example: 0.9 CPU seconds per loop second, planned at rho* = 0.65: 0.65 x 0.9 x 1.1 = 0.64 cores. If
threads run out before loops reach rho*, the utilization that loops do reach counts instead. Memory
is the highest resident memory of a pod's workers, divided by their number, x 1.25.

An increase over 10 % applies immediately. A decrease must suffice for ten minutes, and be over
15 %: each change resizes every pod. Both values stay between a fifth and four times the spec's.
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
from aiapi_operator.sizing.state import LONG_WINDOW, SLOW_WINDOW, PeakWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUseTuning:
    """Numbers of this learner."""

    cpu_spare: float = 1.1
    """Factor on the CPU that is used. A little below VPA's safety margin of 1.15: CPU can be
    shared."""
    memory_spare: float = 1.25
    """Factor on the memory that is used. Above VPA's safety margin of 1.15: too little kills a
    pod."""
    loaded: float = 0.05
    """Utilization below which CPU is not learned. Housekeeping then distorts the cost of a loop
    second."""
    more: float = 1.1
    """Factor on the current request from which a higher one is worth a resize. What is spare
    covers the rest."""
    less: float = 0.85
    """Share of the current request below which a lower one is worth a resize. Chosen."""
    range: float = 4.0
    """Factor on the spec's value that is requested at most. Chosen: limits the effect of an
    error."""


TUNING = WorkerUseTuning()
PODS = 50
"""Pods that are read per tick. Limits the time of a decision in large fleets."""
CPU_STEP = 0.01
"""Cores that requests are rounded up to. Ten millicores."""
MEMORY_STEP = 2**20
"""Bytes that requests are rounded up to. One MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUse:
    """The learned requests of a worker (0: as in the spec), and its recent use."""

    cpu: float = 0.0
    """Cores."""
    memory: int = 0
    """Bytes."""
    cpu_peaks: PeakWindow = ()
    memory_peaks: PeakWindow = ()
    since: float | None = None


def priced(spec: SizingSpec, use: WorkerUse | None) -> SizingSpec:
    """The spec with the current requests of a worker."""
    if use is None or not spec.learn_resources:
        return spec
    return replace(
        spec,
        worker_cpu=_bounded(use.cpu or spec.worker_cpu, spec.worker_cpu),
        worker_memory=int(_bounded(use.memory or spec.worker_memory, spec.worker_memory)),
    )


def learn(known: WorkerUse | None, facts: Facts) -> WorkerUse | None:
    """Follow the use of the workers."""
    spec, now = facts.spec, facts.now
    if not spec.learn_resources:
        return None
    known = known or WorkerUse()
    if facts.tick is None:
        return known
    since = now if known.since is None else known.since
    cpu_peaks = _push(known.cpu_peaks, _cpu(facts), now)
    memory_peaks = _push(known.memory_peaks, _memory(facts.seen.samples), now)
    down = now - since >= LONG_WINDOW
    cores, octets = spec.worker_cpu, float(spec.worker_memory)
    memory = _follow(known.memory, octets, peaks.peak(memory_peaks), MEMORY_STEP, down=down)
    return WorkerUse(
        cpu=_follow(known.cpu, cores, peaks.peak(cpu_peaks), CPU_STEP, down=down),
        memory=int(memory),
        cpu_peaks=cpu_peaks,
        memory_peaks=memory_peaks,
        since=since,
    )


def _push(window: PeakWindow, value: float | None, now: float) -> PeakWindow:
    if value is None:
        return peaks.expire(window, time=now, window=LONG_WINDOW)
    return peaks.push(window, time=now, value=value, window=LONG_WINDOW)


def _cpu(facts: Facts) -> float | None:
    """Cores that a worker needs, from a whole window; None if the load is too low or too short."""
    ticks = facts.ticks
    if windows.span(ticks) < 0.9 * SLOW_WINDOW or any(tick.contended for tick in ticks):
        return None
    loop, workers = windows.mean(ticks, "loop"), windows.mean(ticks, "workers")
    if workers <= 0 or loop < TUNING.loaded * workers:
        return None
    reached = windows.loops_when_threads_run_out(ticks, target(facts).utilization)
    busiest = max(reached, windows.mean(ticks, "busiest"))
    return busiest * windows.mean(ticks, "cpu") / loop * TUNING.cpu_spare


def _memory(samples: Sequence[PodSample]) -> float | None:
    """Bytes that a worker needs, from the pod that uses the most per worker."""
    used = [
        sample.rss_bytes / (sample.workers_ready + sample.workers_draining)
        for sample in samples[:: max(1, len(samples) // PODS)]
        if sample.ready and sample.workers_ready > 0 and sample.rss_bytes > 0
    ]
    return max(used) * TUNING.memory_spare if used else None


def _bounded(value: float, start: float) -> float:
    return min(TUNING.range * start, max(start / 5, value))


def _follow(now: float, start: float, needed: float | None, step: float, *, down: bool) -> float:
    """The new value: up immediately, down only if ``down``; 0 means the spec's value."""
    current = now or start
    if needed is None:
        return now
    needed = step * ceil(_bounded(needed, start) / step - 1e-6)
    if needed > TUNING.more * current or (down and needed < TUNING.less * current):
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
