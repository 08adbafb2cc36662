"""Several policies on one load, and each one's cost against the oracle's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiapi_operator.simulate.ground_truth import GroundTruth, target_utilization
from aiapi_operator.simulate.measure import RunResult
from aiapi_operator.simulate.policies import catalogue
from aiapi_operator.simulate.requests import Workload
from aiapi_operator.simulate.run import Simulation
from aiapi_operator.simulate.scenario import Scenario, ServiceModel
from aiapi_operator.simulate.trace_scaling import scale_to_peak
from aiapi_operator.simulate.traces import Trace, TraceError
from aiapi_operator.sizing.inputs import Bounds, LatencyObjective, SizingSpec
from aiapi_operator.sizing.spec import sizing_spec

ORACLE = "oracle"
MOST_RATE = 20_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What each policy did, in the order in which they were asked for."""

    load: Workload
    spec: SizingSpec
    pod_workers: int
    utilization: float
    """rho* of the true service: what the oracle fills loops to."""
    results: tuple[RunResult, ...]
    oracle: RunResult

    def vs_oracle(self, result: RunResult) -> float:
        """Cost of a policy over the oracle's."""
        return result.core_hours / self.oracle.core_hours


def sizing_spec_for(
    scenario: Scenario, objective: LatencyObjective | None, peak_workers: int | None
) -> SizingSpec:
    """What the AIApi asks for. A trace scaled to many workers gets the room for them."""
    spec = sizing_spec(scenario.spec)
    if objective is not None:
        spec = replace(spec, objective=objective)
    if peak_workers is not None and "replicas" not in scenario.spec.model_fields_set:
        most = max(spec.replicas.max, 3 * peak_workers)
        spec = replace(spec, replicas=Bounds(min=spec.replicas.min, max=most))
    return spec


def scale_to_workers(
    trace: Trace,
    service: ServiceModel,
    objective: LatencyObjective,
    peak_workers: int,
    *,
    seed: int,
) -> Trace:
    """The trace whose busiest minute needs ``peak_workers``."""
    rate = peak_workers * target_utilization(service, objective) / service.demand
    return scale_to_peak(trace, rate, seed=seed)


def check_request_rate(trace: Trace) -> None:
    """Refuse what would not fit in memory: a minute of requests is drawn at a time."""
    if trace.peak_minute > MOST_RATE:
        raise TraceError(
            f"{trace.name}: {trace.peak_minute:,.0f} requests a second in the busiest minute are"
            f" more than the simulator carries ({MOST_RATE:,.0f}): give a lower --peak-workers"
        )


def compare(
    load: Workload,
    spec: SizingSpec,
    names: Sequence[str],
    *,
    pod_workers: int,
    tell: Callable[[RunResult], None] = lambda _: None,
) -> Comparison:
    """Run each policy; the oracle always runs, since costs are given against it."""
    truth = GroundTruth(load, spec)
    results: dict[str, RunResult] = {}
    for name in dict.fromkeys((*names, ORACLE)):
        policy = catalogue.build(name, truth, pod_workers=pod_workers)
        results[name] = Simulation(load, spec, policy).play()
        tell(results[name])
    return Comparison(
        load=load,
        spec=spec,
        pod_workers=pod_workers,
        utilization=truth.utilization,
        results=tuple(results[name] for name in dict.fromkeys(names)),
        oracle=results[ORACLE],
    )
