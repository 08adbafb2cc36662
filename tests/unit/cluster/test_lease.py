"""Leader election with a fake API server and a clock that the test advances."""

from typing import Any

import pytest
from engine_support.lease_api import FakeApi

from aiapi_operator.cluster import lease
from aiapi_operator.cluster.lease import DURATION, RENEW_DEADLINE, LeaderElector, LeaseIdentity


class Race:
    def __init__(self) -> None:
        self.api, self.now = FakeApi(), 0.0
        self.changes: list[bool] = []
        self.one, self.two = self.elector("one"), self.elector("two")

    def elector(self, identity: str) -> LeaderElector:
        candidacy = LeaseIdentity(
            namespace="aiapi-system", name="aiapi-operator", identity=identity
        )
        return LeaderElector(
            self.api,  # type: ignore[arg-type] # the part of Connection that is used
            candidacy,
            changed=self.changes.append,
            clock=lambda: self.now,
        )

    async def goes_on(self, seconds: float, *electors: LeaderElector) -> None:
        """Advance the clock; live candidates retry every two seconds."""
        for _ in range(int(seconds / 2)):
            self.now += 2
            for elector in electors:
                await elector._try_once()


async def test_the_first_candidate_leads_and_keeps_the_lease() -> None:
    race = Race()
    await race.goes_on(60, race.one, race.two)
    assert race.one.held()
    assert not race.two.held()
    assert (race.one.term, race.two.term) == (1, 0)
    assert race.two.holder == "one"


async def test_a_dead_leader_is_replaced_within_fifteen_seconds() -> None:
    race = Race()
    await race.goes_on(10, race.one, race.two)
    await race.goes_on(14, race.two)
    assert race.two.held()
    assert race.api.lease is not None
    assert race.api.lease["spec"]["leaseTransitions"] == 1


async def test_the_old_leader_stops_before_the_new_one_starts() -> None:
    race = Race()
    await race.goes_on(4, race.one, race.two)
    race.now += RENEW_DEADLINE
    assert not race.one.held()
    assert RENEW_DEADLINE < DURATION


async def test_a_leader_without_the_api_server_stops_and_recovers() -> None:
    race = Race()
    await race.goes_on(4, race.one)
    race.api.away = True
    await race.goes_on(4, race.one)
    assert race.one.held()
    await race.goes_on(6, race.one)
    assert not race.one.held()
    assert race.changes == [True, False]
    race.api.away = False
    await race.goes_on(2, race.one)
    assert race.one.held()
    assert race.one.term == 2
    assert race.changes == [True, False, True]


async def test_an_unexpected_answer_does_not_end_the_election(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    race = Race()

    async def broken(*_: Any) -> Any:
        raise ValueError("not JSON")

    with monkeypatch.context() as patch:
        patch.setattr(lease, "get", broken)
        await race.goes_on(4, race.one)
    assert "reading or renewing the lease failed" in caplog.text
    await race.goes_on(2, race.one)
    assert race.one.held()


async def test_a_released_lease_is_acquired_immediately() -> None:
    race = Race()
    await race.goes_on(4, race.one, race.two)
    await race.one._release()
    assert not race.one.held()
    await race.goes_on(2, race.two)
    assert race.two.held()


async def test_a_restarted_container_of_the_same_pod_keeps_the_lease() -> None:
    race = Race()
    await race.goes_on(4, race.one)
    again = race.elector("one")
    await race.goes_on(2, again)
    assert again.held()


async def test_a_deleted_lease_is_created_again_after_its_duration() -> None:
    """Not at once: ``helm uninstall`` deletes it a moment before the operator ends."""
    race = Race()
    await race.goes_on(4, race.one, race.two)
    race.api.lease = None
    await race.goes_on(DURATION, race.one, race.two)
    assert race.api.lease is None
    assert not race.one.held()
    await race.goes_on(2, race.one, race.two)
    assert race.api.lease is not None
    assert race.one.held() != race.two.held()


async def test_of_two_concurrent_candidates_one_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    race = Race()
    stale = {"metadata": {"resourceVersion": "7"}, "spec": {"holderIdentity": ""}}
    race.api.lease = {"metadata": {"resourceVersion": "8"}, "spec": {"holderIdentity": "one"}}

    async def read_before(*_: Any) -> Any:
        return stale

    monkeypatch.setattr(lease, "get", read_before)
    await race.two._try_once()
    assert not race.two.held()
