"""Memory of requests in flight: pods for it, if pods have a memory limit."""

from dataclasses import replace

from msgspec import structs
from unit.sizing.fleet_model import FleetModel, spec
from unit.sizing.samples import facts, row

from aiapi_operator.sizing.decide import decide
from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.inputs import Bounds, Fleet
from aiapi_operator.sizing.learners.request_memory import RequestMemory
from aiapi_operator.sizing.needs.memory import need

MIB = 2**20


def test_memory_needs_pods_and_no_workers() -> None:
    known = RequestMemory(pods=((0.0, 5.0), (10.0, 3.0)))
    many = spec(workers=Bounds(min=2, max=8))
    found = need(facts(row(), user_spec=many, known=[known]), 3.0)
    assert found is not None
    assert (found.min_replicas, found.min_workers, found.workers) == (5, 2, 0.0)
    assert found.binding is Binding.MEMORY
    assert found.reason == "5 pods for the memory of requests in flight"


def test_unknown_or_small_memory_needs_nothing() -> None:
    assert need(facts(row()), 3.0) is None
    assert need(facts(row(), known=[RequestMemory()]), 3.0) is None
    assert need(facts(row(), known=[RequestMemory(pods=((0.0, 0.0),))]), 3.0) is None


def test_one_pod_is_a_need_too() -> None:
    found = need(facts(row(), known=[RequestMemory(pods=((0.0, 1.0),))]), 3.0)
    assert found is not None
    assert (found.min_replicas, found.reason) == (1, "1 pod for the memory of requests in flight")


def limited(model: FleetModel) -> Fleet:
    """Pods with 200 MiB: 100 MiB for a worker, and 0.1 MiB for each request in flight."""
    fleet = model.fleet()
    pods = tuple(
        structs.replace(
            pod,
            memory_limit_bytes=200 * MIB,
            rss_bytes=100 * MIB + pod.in_flight * MIB // 10,
        )
        for pod in fleet.pods
    )
    return replace(fleet, pods=pods)


def test_binding_memory_adds_pods_and_is_reported() -> None:
    model = FleetModel(spec())
    model.upstream = 120.0
    for _ in range(52):
        model.serve(2.0)
        decision = decide(model.spec, limited(model), model.state, model.now)
        model.state = decision.state
    # 20 rps for 104 s in flight x 0.1 MiB are 208 MiB; a pod has 0.8 x 200 - 100 for requests.
    assert decision.replicas in (4, 5)
    assert decision.need.binding is Binding.MEMORY
    assert "pods for the memory of requests in flight; the load needs" in decision.message
