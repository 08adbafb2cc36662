"""The loads of the sizing benchmark: synthetic shapes, and the traces of a directory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aiapi_operator.simulate import traces
from aiapi_operator.simulate.compare import scale_to_workers, sizing_spec_for
from aiapi_operator.simulate.faults import NO_FAULTS, Fault, FaultKind, Faults
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.scenario import Scenario
from aiapi_operator.simulate.traces import Trace, minutes
from aiapi_operator.sizing.inputs import SizingSpec

HOUR = 3600
SEED = 1
STEADY_RATE = 400.0
BEGIN = 1200.0
LENGTHS = {FaultKind.UPSTREAM_OUTAGE: 120.0}
"""Duration of faults other than five minutes, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A load, and the AIApi's sizing spec."""

    name: str
    load: Workload
    spec: SizingSpec
    fault: Fault | None = None


def synthetic(*, quick: bool = False) -> Iterator[Trace]:
    """Typical traffic shapes, to be scaled to a peak. ``quick``: without the whole day."""
    second = np.arange(HOUR, dtype=np.float64)
    rates = {
        "step x4": np.where((second >= 1200) & (second < 2400), 100.0, 25.0),
        "flash crowd x10": 10.0 + np.clip((second - 1200) / 10, 0, 1) * 90.0 * (second < 1800),
        "sawtooth": 20.0 + 80.0 * (second % 600) / 600,
        "slow ramp": 10.0 + 90.0 * second / HOUR,
        "steady": np.full(HOUR, 100.0),
    }
    if not quick:
        day = np.arange(24 * HOUR, dtype=np.float64)
        rates["diurnal"] = 55.0 - 45.0 * np.cos(2 * np.pi * day / len(day))
    rng = np.random.default_rng(SEED)
    for name, rate in rates.items():
        yield Trace(name=name, counts=rng.poisson(rate).astype(np.float64))


def recorded(folder: Path) -> Iterator[Trace]:
    """The traces of a directory."""
    for path in sorted(folder.iterdir()):
        if path.name.endswith((".csv", ".csv.gz")):
            yield traces.read_trace(path)


def busiest(trace: Trace, hours: float) -> Trace:
    """The hours with the most requests, or all of a shorter trace."""
    length = int(hours * HOUR)
    if trace.seconds <= length:
        return trace
    sums = np.cumsum(minutes(trace.counts))
    wide = length // 60
    start = 60 * int(np.argmax(sums[wide:] - sums[:-wide]) + 1)
    return replace(
        trace,
        name=f"{trace.name} (busiest {hours:g} h)",
        counts=trace.counts[start : start + length],
        timestamps=None,
        notes=(),
    )


def scaled_case(trace: Trace, peak: int, *, seed: int) -> Case:
    """A trace whose busiest minute needs ``peak`` workers."""
    scenario = Scenario()
    spec = sizing_spec_for(scenario, None, peak)
    large = scale_to_workers(trace, scenario.service, spec.objective, peak, seed=seed)
    load = Workload(trace=large, service=scenario.service, seed=seed)
    return Case(name=trace.name, load=load, spec=spec)


def fault_cases() -> Iterator[Case]:
    """Constant load with one fault per case; slow pods get a 4x step in load."""
    rng = np.random.default_rng(SEED)
    steady = Trace(name="steady 400/s", counts=rng.poisson(STEADY_RATE, HOUR).astype(np.float64))
    step = np.where(np.arange(HOUR) >= BEGIN + 5, STEADY_RATE, STEADY_RATE / 4)
    stepped = Trace(name="step x4 to 400/s", counts=rng.poisson(step).astype(np.float64))
    scenario = Scenario()
    for kind in (None, *FaultKind):
        fault = None
        if kind is not None:
            fault = Fault(kind=kind, start=BEGIN, end=BEGIN + LENGTHS.get(kind, 300.0))
        trace = stepped if kind is FaultKind.SLOW_PODS else steady
        load = Workload(
            trace=trace,
            service=scenario.service,
            seed=SEED,
            faults=NO_FAULTS if fault is None else Faults((fault,)),
        )
        name = f"{trace.name}, {'no fault' if kind is None else kind.value}"
        yield Case(name=name, load=load, spec=sizing_spec_for(scenario, None, 24), fault=fault)
