"""Learns the CPU and memory requests of a worker: its use at rho*, with a margin.

The spec's values are the initial values. CPU is learned from the CPU seconds per second of loop
time: less than one if callbacks block, more if threads compute:

    CPU = max(rho*, busiest loop) x CPU seconds / loop seconds x 1.1

A service that uses 0.9 CPU seconds per loop second, planned at rho* = 0.65: 0.65 x 0.9 x 1.1 = 0.64
cores. If threads run out before loops reach rho*, the utilization that loops reach is used instead.
Memory is the highest resident memory of a pod's workers, divided by their number, x 1.25.

An increase is applied immediately, so that requests are not below the use for long. A decrease must
suffice for ten minutes and be at least 15 %, because each change resizes every pod. Both stay
between a fifth and four times the initial value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil

from aiapi_operator.sizing import peaks, windows
from aiapi_operator.sizing.inputs import PodSample, SizingSpec
from aiapi_operator.sizing.state import SLOW_WINDOW, PeakWindow, Tick, WorkerUse

CPU_SPARE = 1.1
MEMORY_SPARE = 1.25
LOADED = 0.05
"""Utilization below which housekeeping distorts the cost of a loop second."""
MORE = 1.05
LESS = 0.85
DOWN_AFTER = 600.0
MIN_FACTOR, MAX_FACTOR = 1 / 5, 4.0
CPU_STEP = 0.01
MEMORY_STEP = 2**20
MAX_SAMPLES = 50
"""Pods that are checked per tick; large fleets are subsampled."""


def learn(
    use: WorkerUse, spec: SizingSpec, *, cpu: float | None, memory: float | None, now: float
) -> WorkerUse:
    """The updated use, with the values wanted now (None: unknown)."""
    if not spec.learn_resources:
        return WorkerUse()
    since = now if use.since is None else use.since
    use = replace(
        use,
        since=since,
        cpu_peaks=_push(use.cpu_peaks, cpu, now),
        memory_peaks=_push(use.memory_peaks, memory, now),
    )
    down = now - since >= DOWN_AFTER
    cores, octets = spec.worker_cpu, float(spec.worker_memory)
    return replace(
        use,
        cpu=_follow(use.cpu, cores, peaks.peak(use.cpu_peaks), CPU_STEP, down=down),
        memory=int(
            _follow(use.memory, octets, peaks.peak(use.memory_peaks), MEMORY_STEP, down=down)
        ),
    )


def _push(stairs: PeakWindow, value: float | None, now: float) -> PeakWindow:
    if value is None:
        return peaks.expire(stairs, time=now, window=DOWN_AFTER)
    return peaks.push(stairs, time=now, value=value, window=DOWN_AFTER)


def with_learned_resources(spec: SizingSpec, use: WorkerUse) -> SizingSpec:
    """The spec with the learned requests of a worker."""
    if not spec.learn_resources:
        return spec
    return replace(
        spec,
        worker_cpu=_bounded(use.cpu or spec.worker_cpu, spec.worker_cpu),
        worker_memory=int(_bounded(use.memory or spec.worker_memory, spec.worker_memory)),
    )


def _bounded(value: float, begun: float) -> float:
    return min(MAX_FACTOR * begun, max(MIN_FACTOR * begun, value))


def cpu(ticks: tuple[Tick, ...], *, utilization: float) -> float | None:
    """Cores that a worker needs, from a full window; None if there is too little data."""
    if windows.span(ticks) < 0.9 * SLOW_WINDOW:
        return None
    loop, workers = windows.mean(ticks, "loop"), windows.mean(ticks, "workers")
    if workers <= 0 or loop < LOADED * workers:
        return None
    busiest = windows.mean(ticks, "busiest")
    return max(utilization, busiest) * windows.mean(ticks, "cpu") / loop * CPU_SPARE


def memory(samples: Sequence[PodSample]) -> float | None:
    """Bytes that a worker needs, from the pod that uses most."""
    used = [
        sample.rss_bytes / (sample.workers_ready + sample.workers_draining)
        for sample in _some(samples)
        if sample.ready and sample.workers_ready > 0 and sample.rss_bytes > 0
    ]
    return max(used) * MEMORY_SPARE if used else None


def _some(samples: Sequence[PodSample]) -> Iterable[PodSample]:
    return samples[:: max(1, len(samples) // MAX_SAMPLES)]


def _follow(
    learned: float, begun: float, wanted: float | None, step: float, *, down: bool
) -> float:
    """The new value: increases apply immediately, decreases if ``down``; 0 means the initial
    value."""
    current = learned or begun
    if wanted is None:
        return learned
    wanted = _bounded(wanted, begun)
    wanted = step * ceil(wanted / step - 1e-6)
    if wanted > MORE * current or (down and wanted < LESS * current):
        return wanted
    return learned
