"""All policies by name, each set up as well as someone who knows the service would do it.

A peer sizes pods alone: its pods have a fixed number of workers. Targets in requests in flight
are what such a pod carries, known from the true model of the service, which in life would take
a load test:

    concurrency of a worker whose loop is always full = 1 / c x time in the system   (Little)

KPA takes its documented 70 % of it; hpa-concurrency, keda and ray take rho* of it. hpa-cpu has
the documented default of 80 % of the request, llm-d the objective's threshold.
"""

from collections.abc import Callable

from aiapi_operator.simulate.ground_truth import GroundTruth
from aiapi_operator.simulate.policies.aiapi import AIApiPolicy
from aiapi_operator.simulate.policies.baselines import OraclePolicy, StaticPolicy
from aiapi_operator.simulate.policies.hpa import CPU_TARGET, HpaConcurrencyPolicy, HpaCpuPolicy
from aiapi_operator.simulate.policies.keda import KedaPolicy
from aiapi_operator.simulate.policies.kpa import KpaPolicy
from aiapi_operator.simulate.policies.llmd import LlmDPolicy
from aiapi_operator.simulate.policies.policy import ScalingPolicy
from aiapi_operator.simulate.policies.ray import RayPolicy
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.state import Size


class UnknownPolicyError(ValueError):
    """There is no policy of that name."""


def build(name: str, truth: GroundTruth, *, pod_workers: int, factor: float = 1.0) -> ScalingPolicy:
    """A policy, ready to start. ``factor`` multiplies a peer's target."""
    maker = _MAKERS.get(name)
    if maker is None:
        raise UnknownPolicyError(f"no policy is named {name!r}; there are: {', '.join(NAMES)}")
    return maker(truth, pod_workers, factor)


def _pods(truth: GroundTruth, workers: int) -> Size:
    """Pods of a fixed size for the first minute."""
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


def _aiapi(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:  # noqa: ARG001 - no target
    need = truth.need(float(truth.load.trace.counts[:60].mean()))
    first = plan.cheapest(truth.spec, need)
    return AIApiPolicy(truth.spec, first, begins=truth.load.trace.begins)


def _concurrency(truth: GroundTruth, pod_workers: int, factor: float) -> float:
    """Requests in flight that a pod should have."""
    return factor * truth.utilization * pod_workers * truth.worker_concurrency


def _hpa_concurrency(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    target = _concurrency(truth, pod_workers, factor)
    first = _pods(truth, pod_workers)
    return HpaConcurrencyPolicy("hpa-concurrency", first, truth.spec.replicas, target)


def _keda(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    target = _concurrency(truth, pod_workers, factor)
    return KedaPolicy(_pods(truth, pod_workers), truth.spec.replicas, target)


def _ray(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    target = _concurrency(truth, pod_workers, factor)
    return RayPolicy(_pods(truth, pod_workers), truth.spec.replicas, target)


def _llmd(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    threshold = factor * truth.spec.objective.threshold
    return LlmDPolicy(_pods(truth, pod_workers), truth.spec.replicas, threshold)


def _hpa_cpu(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    return HpaCpuPolicy(
        "hpa-cpu",
        _pods(truth, pod_workers),
        truth.spec.replicas,
        target=factor * CPU_TARGET,
        pod_cpu=plan.POD_CPU + pod_workers * truth.spec.worker_cpu,
    )


def _kpa(truth: GroundTruth, pod_workers: int, factor: float) -> ScalingPolicy:
    limit = factor * pod_workers * truth.worker_concurrency
    first = _pods(truth, pod_workers)
    return KpaPolicy(first, truth.spec.replicas, container_concurrency=limit)


_MAKERS: dict[str, Callable[[GroundTruth, int, float], ScalingPolicy]] = {
    "aiapi": _aiapi,
    "static": lambda truth, pod_workers, factor: StaticPolicy(truth),  # noqa: ARG005 - no target
    "oracle": lambda truth, pod_workers, factor: OraclePolicy(truth),  # noqa: ARG005 - no target
    "hpa-cpu": _hpa_cpu,
    "hpa-concurrency": _hpa_concurrency,
    "kpa": _kpa,
    "keda": _keda,
    "ray": _ray,
    "llm-d": _llmd,
}
NAMES = tuple(_MAKERS)
