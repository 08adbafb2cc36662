"""The ready activators, and their ports."""

from typing import Any

import pytest

from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.engine import activator_pods
from aiapi_operator.engine.activator_pods import FIRST_TRIES, ActivatorPods, ready_activators
from aiapi_operator.engine.activator_ports import ActivatorPorts, NoPortError
from aiapi_operator.observe.activators import ActivatorPod

A, B, C = ("shop", "a"), ("shop", "b"), ("shop", "c")


def pod(name: str, address: str = "10.0.0.1", ready: str = "True", **metadata: Any) -> Any:
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": name, **metadata},
        "status": {"podIP": address, "conditions": conditions},
    }


def test_a_port_stays_with_its_aiapi_and_is_free_once_that_is_gone() -> None:
    ports = ActivatorPorts(20_000, 20_001)
    one, two = ports.take(A), ports.take(B)
    assert {one, two} == {20_000, 20_001}
    assert ports.take(A) == one
    ports.release(A)
    ports.release(A)
    assert ports.take(C) == one


def test_another_operator_chooses_the_same_port_where_it_is_free() -> None:
    assert ActivatorPorts(20_000, 29_999).take(A) == ActivatorPorts(20_000, 29_999).take(A)


def test_the_message_says_what_to_do_where_all_ports_are_taken() -> None:
    ports = ActivatorPorts(20_000, 20_001)
    ports.take(A), ports.take(B)
    with pytest.raises(NoPortError, match=r"^all 2 ports .* raise activator\.ports\.last"):
        ports.take(C)


def test_the_port_in_a_status_is_kept_by_the_first_that_has_it() -> None:
    ports = ActivatorPorts(20_000, 20_009)
    ports.register(A, 20_007)
    ports.register(B, 20_007)
    assert ports.take(A) == 20_007
    assert ports.take(B) != 20_007
    ports.register(A, 20_007)
    assert ports.take(A) == 20_007


@pytest.mark.parametrize("port", [0, -1, 19_999, 20_010])
def test_a_port_out_of_the_range_is_not_kept(port: int) -> None:
    ports = ActivatorPorts(20_000, 20_009)
    ports.register(A, port)
    assert 20_000 <= ports.take(A) <= 20_009


def test_a_registered_port_replaces_the_one_before() -> None:
    ports = ActivatorPorts(20_000, 20_001)
    first = ports.take(A)
    ports.register(A, 40_001 - first)
    assert ports.take(A) == 40_001 - first
    assert ports.take(B) == first


def test_only_ready_activators_that_do_not_end_count_in_the_order_of_their_names() -> None:
    found = ready_activators(
        [
            pod("b", "10.0.0.2"),
            pod("a"),
            pod("starting", ready="False"),
            pod("ending", deletionTimestamp="2026-01-01T00:00:00Z"),
            pod("no-address", ""),
            {"metadata": {"name": "new"}},
        ]
    )
    assert found == (ActivatorPod("a", "10.0.0.1"), ActivatorPod("b", "10.0.0.2"))


async def test_a_change_is_reported_once_and_a_failed_list_changes_nothing() -> None:
    answers: list[Any] = [[pod("a")], [pod("a")], Unavailable("no answer"), [pod("b")], []]
    changes: list[list[str]] = []

    async def lister() -> list[Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    pods = ActivatorPods(lister)
    pods.changed = lambda: changes.append([each.name for each in pods.ready])
    while answers:
        await pods.list_once()
    assert changes == [["a"], ["b"], []]


@pytest.mark.parametrize(("failures", "found"), [(2, 1), (FIRST_TRIES + 1, 0)])
async def test_the_first_list_is_tried_a_few_times(
    monkeypatch: pytest.MonkeyPatch, failures: int, found: int
) -> None:
    monkeypatch.setattr(activator_pods, "INTERVAL", 0)
    asked = 0

    async def lister() -> list[Any]:
        nonlocal asked
        asked += 1
        if asked <= failures:
            raise Unavailable("no answer")
        return [pod("a")]

    pods = ActivatorPods(lister)
    await pods.start()
    assert (len(pods.ready), asked) == (found, min(failures + 1, FIRST_TRIES))
