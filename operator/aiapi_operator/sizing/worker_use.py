"""What a worker needs of CPU and memory: what it uses at rho*, with some to spare.

The spec's values are what is begun with. CPU is learned from the CPU seconds that a second of
loop time takes - less than one where callbacks block, more where threads compute:

    CPU = max(rho*, busiest loop) x CPU seconds / loop seconds x 1.1

A service that uses 0.9 CPU seconds a loop second, planned at rho* = 0.65: 0.65 x 0.9 x 1.1 =
0.64 cores. Where threads run out before loops are at rho*, what loops reach then counts in its
place. Memory is the most that workers of a pod had resident, divided by their number, x 1.25.

More than is requested is requested at once, so that nothing is requested below its use for
long. Less has to suffice for ten minutes first, and by 15 %: each change resizes every pod.
Either stays between a fifth and four times of what is begun with.
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
"""Utilisation below which housekeeping blurs what a loop second costs."""
MORE = 1.05
LESS = 0.85
DOWN_AFTER = 600.0
MIN_FACTOR, MAX_FACTOR = 1 / 5, 4.0
CPU_STEP = 0.01
MEMORY_STEP = 2**20
MAX_SAMPLES = 50
"""Pods that are looked at in a tick: one in so many of a large fleet."""


def learn(
    use: WorkerUse, spec: SizingSpec, *, cpu: float | None, memory: float | None, now: float
) -> WorkerUse:
    """What is remembered of a worker's use, with what is wanted now (None: not known)."""
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
    """The spec with what a worker really requests."""
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
    """Cores that a worker wants, from a whole window; None where too little is known."""
    if windows.span(ticks) < 0.9 * SLOW_WINDOW:
        return None
    loop, workers = windows.mean(ticks, "loop"), windows.mean(ticks, "workers")
    if workers <= 0 or loop < LOADED * workers:
        return None
    busiest = windows.mean(ticks, "busiest")
    return max(utilization, busiest) * windows.mean(ticks, "cpu") / loop * CPU_SPARE


def memory(samples: Sequence[PodSample]) -> float | None:
    """Bytes that a worker wants, by the pod that uses most."""
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
    """The new value: up at once, down when ``down``; 0 means that it is what was begun with."""
    current = learned or begun
    if wanted is None:
        return learned
    wanted = _bounded(wanted, begun)
    wanted = step * ceil(wanted / step - 1e-6)
    if wanted > MORE * current or (down and wanted < LESS * current):
        return wanted
    return learned
