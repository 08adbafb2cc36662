"""The cases of the ablation: compact, because each runs once for every entry."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import sizing_generated as generated
from msgspec import structs
from sizing_loads import HOUR, SEED, Case, fault_cases, recorded, scaled_case

from aiapi_operator.simulate.compare import scale_to_workers, sizing_spec_for
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import Scenario
from aiapi_operator.simulate.traces import Trace
from aiapi_operator.sizing.inputs import Fleet, PodSample

PEAK = 6
SLICE_HOURS = 1
MOST_ARRIVALS = 100.0
"""Requests per second at the peak of a generated load, unless two workers take more."""
DAYS = 4
MEMORY_LIMIT = 512 * 2**20
REQUEST_MEMORY = 4 * 2**20


def _as_it_is(fleet: Fleet) -> Fleet:
    return fleet


def with_request_memory(fleet: Fleet) -> Fleet:
    """Pods with a memory limit, where each request in flight takes 4 MiB."""
    return replace(
        fleet,
        pods=tuple(
            structs.replace(
                pod,
                rss_bytes=pod.rss_bytes + REQUEST_MEMORY * pod.in_flight,
                memory_limit_bytes=MEMORY_LIMIT,
            )
            if isinstance(pod, PodSample)
            else pod
            for pod in fleet.pods
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationCase:
    """A case, and how the samples are changed before the operator sees them."""

    case: Case
    change: Callable[[Fleet], Fleet] = _as_it_is


def cases(folder: Path | None, *, quick: bool) -> Iterator[AblationCase]:
    """All cases. ``quick``: without the four days."""
    for drawn in generated.draws(SEED, 1, quick=True):
        peak = max(generated.SMALL_PEAK[0], int(MOST_ARRIVALS * drawn.demand))
        draw = replace(drawn, peak=min(drawn.peak, peak))
        case = generated.case(draw)
        yield AblationCase(case=replace(case, name=f"{draw.kind}, {draw.peak} workers"))
    for case in fault_cases():
        yield AblationCase(case=case)
        if case.name.endswith("upstream-slow"):
            yield AblationCase(
                case=replace(case, name=f"{case.name}, 4 MiB per request"),
                change=with_request_memory,
            )
    yield AblationCase(case=limited_workers())
    yield AblationCase(case=learned_resources())
    if not quick:
        yield AblationCase(case=daily_jumps())
    for trace in recorded(folder) if folder else ():
        begin = min(10 * HOUR, max(0, trace.seconds - SLICE_HOURS * HOUR))
        counts = trace.counts[begin : begin + SLICE_HOURS * HOUR]
        part = replace(trace, counts=counts, timestamps=None, notes=())
        yield AblationCase(case=scaled_case(part, PEAK, seed=SEED))


def _case(name: str, scenario: Scenario, rates: np.ndarray, peak: int) -> Case:
    spec = sizing_spec_for(scenario, None, peak)
    counts = np.random.default_rng(SEED).poisson(rates).astype(np.float64)
    trace = Trace(name=name, counts=counts)
    scaled = scale_to_workers(trace, scenario.service, spec.objective, peak, seed=SEED)
    load = Workload(trace=scaled, service=scenario.service, seed=SEED)
    return Case(name=name, load=load, spec=spec)


def limited_workers() -> Case:
    """Workers that take 8 requests at once and reject more; the load doubles."""
    scenario = Scenario.model_validate(
        {"service": {"pods": {"inFlight": 8}}, "spec": {"workers": {"maxConcurrency": 8}}}
    )
    second = np.arange(float(HOUR))
    return _case("8 requests per worker, x2", scenario, np.where(second < 1200, 50.0, 100.0), PEAK)


def learned_resources() -> Case:
    """A steady load with ``workers.resources: Learned``."""
    case = _case("learned resources", Scenario(), np.full(HOUR, 100.0), PEAK)
    return replace(case, spec=replace(case.spec, learn_resources=True))


def daily_jumps() -> Case:
    """Four days in which the load becomes four times as high from 9 to 17 h. A tick is 10 s."""
    scenario = Scenario.model_validate({"service": {"loop": {"mean": "100ms"}}})
    hour = np.arange(DAYS * 24 * HOUR) % (24 * HOUR) / HOUR
    case = _case("daily jumps x4", scenario, np.where((hour >= 9) & (hour < 17), 100.0, 25.0), 6)
    return replace(case, spec=replace(case.spec, interval=10.0))
