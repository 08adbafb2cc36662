"""The election in a thread of its own, as the operator runs it. Times are shortened."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from engine_support.lease_api import FakeApi

from aiapi_operator.cluster import lease
from aiapi_operator.cluster.lease import LeaderElector, LeaseIdentity
from aiapi_operator.process.loop_thread import loop_thread

_RENEWAL = 0.05
_DEADLINE = 0.5


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RETRY_PERIOD", _RENEWAL)
    monkeypatch.setattr(lease, "RENEW_DEADLINE", _DEADLINE)
    monkeypatch.setattr(lease, "DURATION", 1)


@asynccontextmanager
async def electing(elector: LeaderElector) -> AsyncIterator[None]:
    task = asyncio.create_task(elector.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class Candidate:
    """An elector, and the changes that it handed to the main loop."""

    api: FakeApi
    identity: str
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    changes: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        api: Any = self.api
        identity = LeaseIdentity(namespace="system", name="operator", identity=self.identity)
        self.elector = LeaderElector(api, identity, changed=self._hand_over)

    def _hand_over(self, leads: bool) -> None:
        self.loop.call_soon_threadsafe(self.changes.append, leads)

    async def until(self, *, leads: bool) -> None:
        async with asyncio.timeout(3):
            while self.elector.held() is not leads or self.changes[-1:] != [leads]:  # noqa: ASYNC110 - read as the ticks read it
                await asyncio.sleep(0.01)


def block(seconds: float) -> None:
    """Compute on the main thread, as long ticks do."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


async def test_a_blocked_main_loop_keeps_the_lease() -> None:
    """Three times as long as an operator may go without a renewal, and a rival waits."""
    api = FakeApi()
    one, two = Candidate(api, "one"), Candidate(api, "two")
    async with loop_thread("lease") as thread, thread.hosting(electing(one.elector)):
        await one.until(leads=True)
        async with thread.hosting(electing(two.elector)):
            block(3 * _DEADLINE)
            assert one.elector.held()
            assert not two.elector.held()
            await asyncio.sleep(0)
    assert one.elector.term == 1
    assert (one.changes[0], two.changes) == (True, [])


async def test_the_lease_is_released_at_the_end() -> None:
    api = FakeApi()
    one = Candidate(api, "one")
    async with loop_thread("lease") as thread, thread.hosting(electing(one.elector)):
        await one.until(leads=True)
    assert api.lease is not None
    assert api.lease["spec"]["holderIdentity"] == ""
    assert not one.elector.held()


async def test_the_main_loop_sees_a_lost_lease_within_a_second() -> None:
    api = FakeApi()
    one = Candidate(api, "one")
    async with loop_thread("lease") as thread, thread.hosting(electing(one.elector)):
        await one.until(leads=True)
        api.seize("two")
        async with asyncio.timeout(1):
            await one.until(leads=False)
        assert one.elector.holder == "two"


async def test_a_main_loop_that_was_blocked_does_not_act_after_a_takeover() -> None:
    api = FakeApi()
    one = Candidate(api, "one")
    async with loop_thread("lease") as thread, thread.hosting(electing(one.elector)):
        await one.until(leads=True)
        api.seize("two")
        block(4 * _RENEWAL)
        assert not one.elector.held()
