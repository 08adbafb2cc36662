"""All policies by name, each set up as well as someone who knows the service would do it.

A peer sizes pods alone: its pods have a fixed number of workers. Targets in requests in flight
are what such a pod carries, known from the true model of the service, which in life would take
a load test:

    concurrency of a worker whose loop is always full = 1 / c x time in the system   (Little)

KPA takes its documented 70 % of it; hpa-concurrency, keda and ray take rho* of it. hpa-cpu has
the documented default of 80 % of the request, llm-d the objective's threshold.
"""

from collections.abc import Callable

from aiapi_operator.simulate.policies.aiapi import AIApi
from aiapi_operator.simulate.policies.hpa import CPU_TARGET, HpaConcurrency, HpaCpu
from aiapi_operator.simulate.policies.keda import Keda
from aiapi_operator.simulate.policies.kpa import Kpa
from aiapi_operator.simulate.policies.llmd import LlmD
from aiapi_operator.simulate.policies.policy import Policy
from aiapi_operator.simulate.policies.ray import Ray
from aiapi_operator.simulate.policies.yardsticks import Oracle, Static
from aiapi_operator.simulate.truth import Truth
from aiapi_operator.sizing import plan
from aiapi_operator.sizing.state import Size


class UnknownPolicyError(ValueError):
    """There is no policy of that name."""


def build(name: str, truth: Truth, *, pod_workers: int, factor: float = 1.0) -> Policy:
    """A policy, ready to start. ``factor`` multiplies a peer's target."""
    maker = _MAKERS.get(name)
    if maker is None:
        raise UnknownPolicyError(f"no policy is named {name!r}; there are: {', '.join(NAMES)}")
    return maker(truth, pod_workers, factor)


def _pods(truth: Truth, workers: int) -> Size:
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


def _aiapi(truth: Truth, pod_workers: int, factor: float) -> Policy:  # noqa: ARG001 - no target
    need = truth.need(float(truth.load.trace.counts[:60].mean()))
    first = plan.cheapest(truth.spec, need)
    return AIApi(truth.spec, first, begins=truth.load.trace.begins)


def _concurrency(truth: Truth, pod_workers: int, factor: float) -> float:
    """Requests in flight that a pod should have."""
    return factor * truth.utilization * pod_workers * truth.worker_concurrency


def _hpa_concurrency(truth: Truth, pod_workers: int, factor: float) -> Policy:
    target = _concurrency(truth, pod_workers, factor)
    first = _pods(truth, pod_workers)
    return HpaConcurrency("hpa-concurrency", first, truth.spec.replicas, target)


def _keda(truth: Truth, pod_workers: int, factor: float) -> Policy:
    target = _concurrency(truth, pod_workers, factor)
    return Keda(_pods(truth, pod_workers), truth.spec.replicas, target)


def _ray(truth: Truth, pod_workers: int, factor: float) -> Policy:
    target = _concurrency(truth, pod_workers, factor)
    return Ray(_pods(truth, pod_workers), truth.spec.replicas, target)


def _llmd(truth: Truth, pod_workers: int, factor: float) -> Policy:
    threshold = factor * truth.spec.objective.threshold
    return LlmD(_pods(truth, pod_workers), truth.spec.replicas, threshold)


def _hpa_cpu(truth: Truth, pod_workers: int, factor: float) -> Policy:
    return HpaCpu(
        "hpa-cpu",
        _pods(truth, pod_workers),
        truth.spec.replicas,
        target=factor * CPU_TARGET,
        pod_cpu=plan.POD_CPU + pod_workers * truth.spec.worker_cpu,
    )


def _kpa(truth: Truth, pod_workers: int, factor: float) -> Policy:
    limit = factor * pod_workers * truth.worker_concurrency
    first = _pods(truth, pod_workers)
    return Kpa(first, truth.spec.replicas, container_concurrency=limit)


_MAKERS: dict[str, Callable[[Truth, int, float], Policy]] = {
    "aiapi": _aiapi,
    "static": lambda truth, pod_workers, factor: Static(truth),  # noqa: ARG005 - no target
    "oracle": lambda truth, pod_workers, factor: Oracle(truth),  # noqa: ARG005 - no target
    "hpa-cpu": _hpa_cpu,
    "hpa-concurrency": _hpa_concurrency,
    "kpa": _kpa,
    "keda": _keda,
    "ray": _ray,
    "llm-d": _llmd,
}
NAMES = tuple(_MAKERS)
