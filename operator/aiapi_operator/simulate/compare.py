"""Compares policies on one workload, with the cost of each relative to the oracle's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.duration import parse_duration
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
MAX_RATE = 20_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The results of each policy, in the requested order."""

    load: Workload
    spec: SizingSpec
    pod_workers: int
    utilization: float
    """rho* of the simulated service: the oracle's target utilization."""
    results: tuple[RunResult, ...]
    oracle: RunResult
    to_zero_after: float | None = None
    """``scaling.toZeroAfter`` in seconds if the minimum of replicas is 0."""

    def vs_oracle(self, result: RunResult) -> float:
        """Cost of a policy divided by the oracle's."""
        return result.core_hours / self.oracle.core_hours


def sizing_spec_for(
    scenario: Scenario, objective: LatencyObjective | None, peak_workers: int | None
) -> SizingSpec:
    """The sizing spec. For a scaled trace the default maximum of replicas is raised to fit."""
    spec = sizing_spec(scenario.spec)
    if objective is not None:
        spec = spec.with_objective(objective)
    if peak_workers is not None and "max" not in scenario.spec.replicas.model_fields_set:
        most = max(spec.replicas.max, 3 * peak_workers)
        spec = replace(spec, replicas=Bounds(min=spec.replicas.min, max=most))
    return spec


def with_minimum(spec: AIApiSpec, replicas: int | None, to_zero_after: str | None) -> AIApiSpec:
    """The spec with another minimum of replicas, and another time until they stop.

    Raises ``ValidationError`` if they do not fit the rest of the spec.
    """
    content = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if replicas is not None:
        content["replicas"] = {**content.get("replicas", {}), "min": replicas}
    if to_zero_after is not None:
        content["scaling"] = {**content.get("scaling", {}), "toZeroAfter": to_zero_after}
    return AIApiSpec.model_validate(content)


def seconds_to_zero(spec: AIApiSpec) -> float | None:
    """Seconds without requests after which the last pods stop; None if they do not."""
    return parse_duration(spec.scaling.to_zero_after) if spec.replicas.min == 0 else None


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
    """Raise ``TraceError`` if a minute of requests would not fit in memory."""
    if trace.peak_minute > MAX_RATE:
        raise TraceError(
            f"{trace.name}: {trace.peak_minute:,.0f} requests/s in the busiest minute are above the"
            f" simulator's limit of {MAX_RATE:,.0f}: set a lower --peak-workers"
        )


def compare(  # noqa: PLR0913 - each can be varied
    load: Workload,
    spec: SizingSpec,
    names: Sequence[str],
    *,
    pod_workers: int,
    to_zero_after: float | None = None,
    on_result: Callable[[RunResult], None] = lambda _: None,
) -> Comparison:
    """Run each policy, and always the oracle, because costs are relative to it.

    With ``to_zero_after`` the minimum of replicas is 0.
    """
    truth = GroundTruth(load, spec)
    results: dict[str, RunResult] = {}
    for name in dict.fromkeys((*names, ORACLE)):
        results[name] = simulation(
            name, truth, pod_workers=pod_workers, to_zero_after=to_zero_after
        ).run()
        on_result(results[name])
    return Comparison(
        load=load,
        spec=spec,
        pod_workers=pod_workers,
        utilization=truth.utilization,
        results=tuple(results[name] for name in dict.fromkeys(names)),
        oracle=results[ORACLE],
        to_zero_after=to_zero_after,
    )


def simulation(
    name: str, truth: GroundTruth, *, pod_workers: int, to_zero_after: float | None = None
) -> Simulation:
    """One policy on its workload."""
    policy = catalogue.build(name, truth, pod_workers=pod_workers, to_zero_after=to_zero_after)
    front = None if to_zero_after is None else catalogue.front(name, truth)
    return Simulation(truth.load, truth.spec, policy, front)
