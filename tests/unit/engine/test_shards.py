"""Who owns an AIApi: the hash, the owner's duty, the next step of the ring, the live shards."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from aiapi_operator.engine.shards import (
    DRAIN_LABEL,
    EXPIRED_AFTER,
    FENCE,
    Duty,
    Liveness,
    Move,
    duty,
    move,
    rendezvous,
)
from aiapi_operator.manifests.labels import SHARD_LABEL

KEYS = [("shop", f"api-{number}") for number in range(3000)]


def labelled(shard: str, *, drain: bool = False) -> dict[str, str]:
    return {SHARD_LABEL: shard, **({DRAIN_LABEL: "true"} if drain else {})}


def test_the_hash_spreads_evenly() -> None:
    counts = Counter(rendezvous(key, range(4)) for key in KEYS)
    assert all(0.9 * 750 < count < 1.1 * 750 for count in counts.values())


def test_a_shard_that_joins_moves_its_part_only() -> None:
    moved = [key for key in KEYS if rendezvous(key, range(3)) != rendezvous(key, range(4))]
    assert {rendezvous(key, range(4)) for key in moved} == {3}
    assert len(moved) == pytest.approx(len(KEYS) / 4, rel=0.1)


def test_a_shard_that_leaves_moves_its_part_only() -> None:
    moved = [key for key in KEYS if rendezvous(key, {0, 1, 2}) != rendezvous(key, {0, 2})]
    assert {rendezvous(key, {0, 1, 2}) for key in moved} == {1}


def test_the_hash_does_not_change() -> None:
    """Two releases of the operator must agree, or an upgrade moves everything twice."""
    assert [rendezvous(("shop", name), range(4)) for name in "abcdefgh"] == HASHED


HASHED = [2, 3, 3, 1, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "shard", "leads", "expected"),
    [
        ({}, None, True, Duty.ACT),
        (labelled("2"), None, True, Duty.ACT),
        ({}, 1, True, Duty.WAIT),
        (labelled("2"), 1, True, Duty.WAIT),
        (labelled("2", drain=True), 1, True, Duty.WAIT),
        (labelled("one"), 1, True, Duty.WAIT),
        (labelled("1"), 1, True, Duty.ACT),
        (labelled("1", drain=True), 1, True, Duty.RELEASE),
        (labelled("1"), 1, False, Duty.WAIT),
        (labelled("1", drain=True), 1, False, Duty.WAIT),
        ({}, None, False, Duty.WAIT),
    ],
)
def test_the_duty_of_a_shard(
    labels: Mapping[str, str], shard: int | None, *, leads: bool, expected: Duty
) -> None:
    assert duty(labels, shard, leads=leads) is expected


KEY = ("shop", "a")
WANTED = rendezvous(KEY, {0, 1})
OTHER = str(1 - (WANTED or 0))
ASSIGN: dict[str, str | None] = {SHARD_LABEL: str(WANTED), DRAIN_LABEL: None}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, Move(ASSIGN)),
        ({DRAIN_LABEL: "true"}, Move(ASSIGN)),
        (labelled("nonsense"), Move(ASSIGN)),
        (labelled(str(WANTED)), None),
        (labelled(str(WANTED), drain=True), None),
        (labelled(OTHER), Move({DRAIN_LABEL: "true"})),
        (labelled(OTHER, drain=True), None),
        (labelled("7"), Move(ASSIGN, fence=7)),
        (labelled("7", drain=True), Move(ASSIGN, fence=7)),
    ],
)
def test_the_next_step_of_the_ring(labels: Mapping[str, str], expected: Move | None) -> None:
    assert move(KEY, labels, live={0, 1}, targets={0, 1}) == expected


def test_nothing_moves_while_no_shard_is_live() -> None:
    assert move(KEY, labelled("1"), live=(), targets=()) is None


def lease(version: int, holder: str = "pod") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "spec": {"holderIdentity": holder}}


def test_a_shard_is_live_while_its_lease_changes() -> None:
    liveness = Liveness(2)
    leases = {0: lease(1), 1: lease(1)}
    assert liveness.observe(leases, (), 0.0) == {0, 1}
    assert liveness.observe({0: lease(2), 1: lease(1)}, (), EXPIRED_AFTER) == {0}
    assert liveness.observe({0: lease(2), 1: lease(3)}, (), EXPIRED_AFTER + 1) == {0, 1}


def test_a_pause_of_the_observer_makes_no_shard_dead() -> None:
    liveness = Liveness(1)
    liveness.observe({0: lease(1)}, (), 0.0)
    assert liveness.observe({0: lease(9)}, (), 1000.0) == {0}


def test_a_shard_without_a_lease_has_time_to_start() -> None:
    liveness = Liveness(2)
    assert liveness.observe({0: lease(1)}, (), 0.0) == {0, 1}
    assert liveness.observe({0: lease(2)}, (), EXPIRED_AFTER) == {0}


def test_a_shard_whose_lease_the_ring_has_taken_is_not_live() -> None:
    liveness = Liveness(1)
    assert liveness.observe({0: lease(1, FENCE + "pod")}, (), 0.0) == set()
    assert liveness.observe({0: lease(2, "pod")}, (), 10.0) == {0}


def test_a_shard_that_only_a_label_names_gets_no_aiapis() -> None:
    liveness = Liveness(1)
    live = liveness.observe({0: lease(1)}, {5}, 0.0)
    assert live == {0, 5}
    assert liveness.targets({0}, live) == {0}
    assert liveness.observe({0: lease(2)}, {5}, EXPIRED_AFTER) == {0}
