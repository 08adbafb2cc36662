"""How connections are spread over workers."""

from hypothesis import given
from hypothesis import strategies as st

from aiapi_runtime.runtime.balance import distribute, excess

loads = st.lists(st.integers(0, 10_000), min_size=1, max_size=16)


def test_an_even_spread_is_left_alone():
    assert excess([10, 11, 9, 10]) == [0, 0, 0, 0]


def test_the_worker_that_has_all_releases_a_part():
    assert excess([40, 0, 0, 0]) == [10, 0, 0, 0]


@given(loads)
def test_no_worker_falls_below_the_mean(connections):
    mean = sum(connections) / len(connections)
    for count, part in zip(connections, excess(connections), strict=True):
        assert part >= 0
        assert part == 0 or count - part >= mean - 1


@given(loads)
def test_releasing_ends_within_the_tolerance(connections):
    for _ in range(200):
        parts = excess(connections)
        if not any(parts):
            break
        left = [count - part for count, part in zip(connections, parts, strict=True)]
        connections = [
            a + b
            for a, b in zip(left, distribute(sum(parts), left, [10**6] * len(left)), strict=True)
        ]
    mean = sum(connections) / len(connections)
    assert max(connections) <= mean * 1.15 + 2


@given(st.integers(0, 300), loads)
def test_connections_go_to_the_least_loaded_workers(items, connections):
    given_out = distribute(items, connections, [10**6] * len(connections))
    assert sum(given_out) == items
    after = [a + b for a, b in zip(connections, given_out, strict=True)]
    receivers = [load for load, got in zip(after, given_out, strict=True) if got]
    if receivers:
        assert max(receivers) <= min(after) + 1


def test_a_worker_at_its_limit_gets_no_more_connections():
    assert distribute(10, [0, 3], [4, 100]) == [4, 6]
    assert distribute(10, [5, 3], [4, 4]) == [0, 1]
