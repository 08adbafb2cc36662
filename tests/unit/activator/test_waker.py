"""Waking: once, more when more is held, again after an error, and after the scale was lowered."""

import asyncio

import pytest

from aiapi_operator.activator import waker as module
from aiapi_operator.activator.on_demand import OnDemand
from aiapi_operator.activator.waker import Waker
from aiapi_operator.cluster.errors import Conflict, Unavailable

KEY = ("shop", "assistant")


class Scales:
    def __init__(self) -> None:
        self.replicas = 0
        self.calls: list[int] = []
        self.errors: list[Exception] = []

    async def raise_to(self, key: tuple[str, str], replicas: int) -> bool:
        self.calls.append(replicas)
        if self.errors:
            raise self.errors.pop(0)
        raised = replicas > self.replicas
        self.replicas = max(replicas, self.replicas)
        return raised


class World:
    def __init__(self) -> None:
        self.scales = Scales()
        self.wanted = 1
        self.wakes = 0
        self.waker = Waker(KEY, self.scales, wanted=lambda: self.wanted, woke=self._woke)
        self.task = asyncio.create_task(self.waker.run())

    def _woke(self) -> None:
        self.wakes += 1

    async def calls(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.scales.calls) < count:  # noqa: ASYNC110 - a fake without events
                await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BACKOFF_START", 0.001)


async def test_it_wakes_once_and_again_when_more_is_wanted() -> None:
    world = World()
    await world.calls(1)
    world.waker.nudge(is_first=False)
    await asyncio.sleep(0.01)
    assert world.scales.calls == [1]
    world.wanted = 3
    world.waker.nudge(is_first=False)
    await world.calls(2)
    assert world.scales.replicas == 3
    assert world.wakes == 2
    world.task.cancel()


async def test_the_first_request_of_a_wait_checks_the_scale_again() -> None:
    world = World()
    await world.calls(1)
    world.scales.replicas = 0
    world.waker.nudge(is_first=True)
    await world.calls(2)
    assert world.scales.replicas == 1
    world.task.cancel()


async def test_it_tries_again_after_errors_and_names_the_last_one() -> None:
    world = World()
    world.scales.errors = [Unavailable("no answer", reason="Unreachable"), Conflict("changed")]
    await world.calls(1)
    await asyncio.sleep(0)
    assert world.waker.error == "the Deployment cannot be scaled (Unreachable)"
    await world.calls(3)
    await asyncio.sleep(0)
    assert world.waker.error == ""
    assert world.wakes == 1
    world.task.cancel()


async def test_it_ends_when_nothing_is_wanted() -> None:
    world = World()
    world.wanted = 0
    await world.task
    assert world.scales.calls == []


async def test_a_task_that_just_ended_can_start_again() -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    task = OnDemand("test", run)
    task.start()
    task.start()
    await asyncio.sleep(0)
    assert runs == 1
    task.start()  # before the callback of the first one
    await asyncio.sleep(0)
    assert runs == 2


async def test_a_task_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        raise RuntimeError("no")

    OnDemand("the task", run).start()
    await asyncio.sleep(0.01)
    assert "the task failed" in caplog.text
