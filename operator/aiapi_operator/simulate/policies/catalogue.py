"""All policies by name, configured as by a user who knows the service.

Other autoscalers scale pods only: their pods have a fixed number of workers. A target in requests
in flight is the capacity of such a pod, from the true model of the service. In practice this
takes a load test:

    concurrency of a worker whose loop is always full = 1 / c x time in the system   (Little)

KPA uses its documented 70 % of it; hpa-concurrency, keda and ray use rho* of it. hpa-cpu has the
documented default of 80 % of the request, llm-d the objective's threshold.

aiapi-last-value is the operator without its forecast: demand is the mean of the last 6 s. The
difference to aiapi shows what forecasting is worth.

With a minimum of 0 replicas those in ``ASLEEP`` stop altogether by their own rules; the others keep
a pod.
"""

from collections.abc import Callable

from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.hold import ACTIVATOR, Front
from aiapi_operator.simulate.policies import keda, kpa
from aiapi_operator.simulate.policies.aiapi import FORECASTS, AIApiPolicy
from aiapi_operator.simulate.policies.baselines import OraclePolicy, StaticPolicy
from aiapi_operator.simulate.policies.hpa import (
    CPU_TARGET,
    HpaConcurrencyPolicy,
    HpaCpuPolicy,
    HpaExternalPolicy,
)
from aiapi_operator.simulate.policies.keda import KedaPolicy
from aiapi_operator.simulate.policies.kpa import KpaPolicy
from aiapi_operator.simulate.policies.llmd import LlmDPolicy
from aiapi_operator.simulate.policies.policy import ScalingPolicy
from aiapi_operator.simulate.policies.ray import RayPolicy
from aiapi_operator.simulate.policies.sleeping import SleepingPolicy
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.inputs import Bounds
from aiapi_operator.sizing.state import Size


class UnknownPolicyError(ValueError):
    """No policy has this name."""


def build(
    name: str,
    truth: GroundTruth,
    *,
    pod_workers: int,
    factor: float = 1.0,
    to_zero_after: float | None = None,
) -> ScalingPolicy:
    """Build a policy. ``factor`` multiplies the target of other autoscalers.

    With ``to_zero_after``, in seconds, the minimum of replicas is 0 for policies in ``ASLEEP``.
    """
    if name not in _BUILDERS:
        raise UnknownPolicyError(f"unknown policy {name!r}; use any of: {', '.join(NAMES)}")
    if to_zero_after is not None and name in ASLEEP:
        return _sleeping(name, truth, pod_workers, factor, to_zero_after)
    return _BUILDERS[name](truth, pod_workers, factor)


def front(name: str, truth: GroundTruth) -> Front | None:
    """What holds the requests of a policy whose minimum of replicas is 0; None if it needs one."""
    if name == "hpa-concurrency":
        service = truth.load.service
        counts = service.demand + service.upstream_mean + service.stream_mean
        return Front(most=0, seconds=0.0, wakes=False, counts=counts)
    return {"kpa": kpa.FRONT, "keda": keda.FRONT}.get(name, ACTIVATOR) if name in ASLEEP else None


def _sleeping(
    name: str, truth: GroundTruth, pod_workers: int, factor: float, after: float
) -> ScalingPolicy:
    if name == "oracle":
        return OraclePolicy(truth, may_sleep=True)
    if name in OWN:
        awake = _aiapi if name == "aiapi" else _last_value
        return SleepingPolicy(awake(truth, pod_workers, factor), after)
    bounds = Bounds(min=0, max=truth.spec.replicas.max)
    pods = _pods(truth, pod_workers)
    if name == "kpa":
        return KpaPolicy(pods, bounds, container_concurrency=_limit(truth, pod_workers, factor))
    target = _concurrency(truth, pod_workers, factor)
    if name == "keda":
        return KedaPolicy(pods, bounds, target)
    return HpaExternalPolicy("hpa-concurrency", pods, bounds, target)


def _pods(truth: GroundTruth, workers: int) -> Size:
    """The initial fleet of pods with a fixed number of workers."""
    spec = truth.spec
    need = truth.need(float(truth.load.trace.counts[:60].mean()))
    pods = next(
        (
            pods
            for pods in range(spec.replicas.min, spec.replicas.max)
            if plan.workers_for(need, pods) <= workers
        ),
        spec.replicas.max,
    )
    return Size(workers=workers, replicas=pods)


def _aiapi(truth: GroundTruth, pod_workers: int, factor: float) -> AIApiPolicy:  # noqa: ARG001 - no target
    need = truth.need(float(truth.load.trace.counts[:60].mean()))
    initial_size = plan.cheapest(truth.spec, need)
    return AIApiPolicy(truth.spec, initial_size, start_time=truth.load.trace.start_time)


def _last_value(truth: GroundTruth, pod_workers: int, factor: float) -> AIApiPolicy:  # noqa: ARG001 - no target
    need = truth.need(float(truth.load.trace.counts[:60].mean()))
    return AIApiPolicy(
        truth.spec,
        plan.cheapest(truth.spec, need),
        start_time=truth.load.trace.start_time,
        name="aiapi-last-value",
        without=FORECASTS,
    )


def _concurrency(truth: GroundTruth, pod_workers: int, factor: float) -> float:
    """Target requests in flight per pod."""
    return factor * truth.utilization * pod_workers * truth.worker_concurrency


def _hpa_concurrency(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    target = _concurrency(truth, pod_workers, factor)
    initial_size = _pods(truth, pod_workers)
    return HpaConcurrencyPolicy("hpa-concurrency", initial_size, truth.spec.replicas, target)


def _keda(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    target = _concurrency(truth, pod_workers, factor)
    return KedaPolicy(_pods(truth, pod_workers), truth.spec.replicas, target)


def _ray(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    target = _concurrency(truth, pod_workers, factor)
    return RayPolicy(_pods(truth, pod_workers), truth.spec.replicas, target)


def _llmd(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    objective = truth.spec.objective
    threshold, pods = factor * objective.threshold, _pods(truth, pod_workers)
    return LlmDPolicy(pods, truth.spec.replicas, threshold, objective.kind)


def _hpa_cpu(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    return HpaCpuPolicy(
        "hpa-cpu",
        _pods(truth, pod_workers),
        truth.spec.replicas,
        target=factor * CPU_TARGET,
        pod_cpu=plan.POD_CPU + pod_workers * truth.spec.worker_cpu,
    )


def _kpa(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    limit = _limit(truth, pod_workers, factor)
    initial_size = _pods(truth, pod_workers)
    return KpaPolicy(initial_size, truth.spec.replicas, container_concurrency=limit)


def _limit(truth: GroundTruth, pod_workers: int, factor: float) -> float:
    """Requests in flight that a pod can have."""
    return factor * pod_workers * truth.worker_concurrency


_BUILDERS: dict[str, Callable[[GroundTruth, int, float], ScalingPolicy]] = {
    "aiapi": _aiapi,
    "aiapi-last-value": _last_value,
    "static": lambda truth, pod_workers, factor: StaticPolicy(truth),  # noqa: ARG005 - no target
    "oracle": lambda truth, pod_workers, factor: OraclePolicy(truth),  # noqa: ARG005 - no target
    "hpa-cpu": _hpa_cpu,
    "hpa-concurrency": _hpa_concurrency,
    "kpa": _kpa,
    "keda": _keda,
    "ray": _ray,
    "llm-d": _llmd,
}
NAMES = tuple(_BUILDERS)
OWN = ("aiapi", "aiapi-last-value")
ASLEEP = (*OWN, "oracle", "hpa-concurrency", "kpa", "keda")
"""Those that can run no pod at all."""
