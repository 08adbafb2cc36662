"""Requirements of several needs: the largest of each, and the one that binds."""

import pytest

from aiapi_operator.sizing.decision import Binding
from aiapi_operator.sizing.plan import RequiredWorkers
from aiapi_operator.sizing.requirement import Requirement, together

LOOP = Requirement(binding=Binding.LOOP, reason="loops", workers=6.2, survivors=3.9, demand=412.0)
THREADS = Requirement(binding=Binding.THREADS, reason="threads", workers=5.0, survivors=4.5)
FLOOR = Requirement(binding=Binding.FLOOR, reason="floor", min_workers=2, min_replicas=3)
MEMORY = Requirement(binding=Binding.MEMORY, reason="memory", min_replicas=5)


@pytest.mark.parametrize(
    ("found", "binding", "load"),
    [
        pytest.param((LOOP, THREADS), LOOP, LOOP, id="the one that needs the most workers"),
        pytest.param((THREADS, LOOP), LOOP, LOOP, id="in any order"),
        pytest.param((THREADS, FLOOR), FLOOR, THREADS, id="a floor above the load"),
        pytest.param((LOOP, FLOOR), LOOP, LOOP, id="a floor below the load"),
        pytest.param((FLOOR, MEMORY), FLOOR, None, id="no load"),
    ],
)
def test_the_binding_requirement(
    found: tuple[Requirement, ...], binding: Requirement, load: Requirement | None
) -> None:
    both = together(found)
    assert (both.binding, both.load) == (binding, load)


def test_the_largest_of_each_number() -> None:
    every = together((LOOP, THREADS, FLOOR, MEMORY))
    assert every.carry == RequiredWorkers(6.2, 4.5)
    assert (every.min_workers, every.min_replicas) == (2, 5)
    assert every.demand == 412.0


def test_a_floor_asks_for_all_of_its_workers() -> None:
    assert FLOOR.asks == 6.0
    assert LOOP.asks == 6.2
    assert MEMORY.asks == 5.0


def test_an_absurd_need_is_bounded() -> None:
    wild = Requirement(binding=Binding.LOOP, reason="", workers=1e30, survivors=1e30)
    assert together((wild,)).carry == RequiredWorkers(1e6, 1e6)


def test_the_demand_of_no_load_is_unknown() -> None:
    assert together((FLOOR,)).demand is None


def test_scaled_to_another_total() -> None:
    assert together((LOOP,)).scaled_to(12.4) == RequiredWorkers(12.4, pytest.approx(7.8))
    assert together((FLOOR,)).scaled_to(4.0) == RequiredWorkers(4.0, 4.0)
