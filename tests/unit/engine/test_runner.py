"""Tasks: one per AIApi, woken by changes, never ended by a failure."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from engine_support.world import Leads, aiapi

from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.cluster.watch import Listed
from aiapi_operator.engine import runner as runner_module
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.existence import AIApiDeletedError
from aiapi_operator.engine.runner import Runner
from aiapi_operator.engine.shards import DRAIN_LABEL
from aiapi_operator.engine.tenure import NotOwnedError
from aiapi_operator.engine.tick_queue import TickQueue

SLOW = {"scaling": {"interval": "60s"}}


class FakeEngine:
    """Records ticks by uid; ``fails`` maps a name to the error of its ticks."""

    def __init__(self) -> None:
        self.ticks: list[str] = []
        self.wakes: list[Callable[[], None]] = []
        self.fails: dict[str, Exception] = {}
        self.failures: list[str] = []
        self.on_tick: Callable[[], object] = lambda: None

    def register(self, manifest: Manifest) -> None:
        """Ports do not matter here."""

    def release(self, key: tuple[str, str]) -> None:
        """Ports do not matter here."""

    async def tick(self, state: AIApiState) -> None:
        self.ticks.append(state.ref.uid)
        self.wakes.append(state.rest.wake)
        self.on_tick()
        if state.ref.name in self.fails:
            raise self.fails[state.ref.name]

    async def fail(self, state: AIApiState, error: Exception) -> None:
        self.failures.append(f"{state.ref.name}: {error}")


class FakeMetrics:
    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.lags: list[float] = []
        self.forgotten: list[tuple[str, str]] = []

    def record_tick(self, key: tuple[str, str], *, lag: float, outcome: str, **_: Any) -> None:
        self.outcomes.append(outcome)
        self.lags.append(lag)

    def forget(self, key: tuple[str, str]) -> None:
        self.forgotten.append(key)


class Stage:
    def __init__(self) -> None:
        self.engine, self.metrics, self.leads = FakeEngine(), FakeMetrics(), Leads()
        self.cache = ObjectCache()
        self.late = 0.0
        self.runner = Runner(
            self.engine,  # type: ignore[arg-type] # the part of Engine that is used
            self.cache,
            self.leads,
            self.metrics,
            clock=lambda: time.monotonic() + self.late,
        )


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(runner_module, "MIN_PAUSE", 0.01)
    monkeypatch.setattr(runner_module, "_FIRST_BACKOFF", 0.02)
    monkeypatch.setattr(runner_module, "_STANDBY_INTERVAL", 0.02)
    stage = Stage()
    yield stage
    await stage.runner.stop()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not holds():  # noqa: ASYNC110 - the state has no event to wait for
            await asyncio.sleep(0.005)


def named(name: str, uid: str = "", spec: dict[str, Any] | None = None, **meta: Any) -> Manifest:
    manifest = aiapi(SLOW if spec is None else spec)
    manifest["metadata"] |= {"name": name, "uid": uid or name, **meta}
    return manifest


def pod(version: str) -> Manifest:
    labels = {"app.kubernetes.io/instance": "a", "pod-template-hash": "1"}
    metadata: Manifest = {"name": "a-1", "namespace": "shop", "uid": "p", "labels": labels}
    metadata["ownerReferences"] = [{"kind": "ReplicaSet", "name": "a-1", "controller": True}]
    return {"kind": "Pod", "metadata": {**metadata, "resourceVersion": version}}


async def test_ticks_follow_the_interval_of_the_aiapi(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a", spec={"scaling": {"interval": "500ms"}}))
    stage.runner.on_aiapi_update(named("b"))
    await until(lambda: stage.engine.ticks.count("a") == 3)
    assert stage.engine.ticks.count("b") == 1


@pytest.mark.parametrize(
    ("time", "slot"), [(0.0, 0.0), (7.93, 7.9), (7.96, 8.0), (86_400.04, 86_400.0)]
)
def test_ticks_begin_in_slots(time: float, slot: float) -> None:
    assert runner_module._slot(time) == pytest.approx(slot)


async def test_aiapis_that_are_due_at_about_the_same_time_tick_together(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "SLOT", 0.5)
    began: list[float] = []
    stage.engine.on_tick = lambda: began.append(time.monotonic() / 0.5)
    for name in "abcdefgh":
        stage.runner.on_aiapi_update(named(name, spec={"scaling": {"interval": "500ms"}}))
        await asyncio.sleep(0.03)
    await until(lambda: len(began) >= 40)
    slots = Counter(map(int, began[16:]))
    assert max(slots.values()) == 8, "each in each slot"


async def test_lateness_counts_from_when_the_tick_was_due(stage: Stage) -> None:
    def overrun() -> None:
        if len(stage.engine.ticks) == 1:
            stage.late = 18.0

    stage.engine.on_tick = overrun
    stage.runner.on_aiapi_update(named("a", spec={"scaling": {"interval": "500ms"}}))
    await until(lambda: len(stage.metrics.lags) == 3)
    first, second, third = stage.metrics.lags
    assert first < 0.4
    assert 17.4 < second < 18
    assert third < 0.4, "missed ticks are not made up for"


async def test_a_watch_that_ends_lets_its_aiapi_tick(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a"))
    stage.runner.on_aiapi_update(named("b"))
    await until(lambda: len(stage.engine.ticks) == 2)
    stage.engine.wakes[stage.engine.ticks.index("b")]()
    await until(lambda: len(stage.engine.ticks) == 3)
    assert stage.engine.ticks[-1] == "b"
    stage.runner.on_aiapi_delete(named("b"))
    stage.engine.wakes[-1]()


async def test_a_tick_for_a_change_is_due_when_the_change_arrived(stage: Stage) -> None:
    def change_and_overrun() -> None:
        if len(stage.engine.ticks) == 1:
            stage.runner.on_child_update(pod("1"))
            stage.late = 5.0

    stage.engine.on_tick = change_and_overrun
    stage.runner.on_aiapi_update(named("a"))
    await until(lambda: len(stage.metrics.lags) == 2)
    assert 4.9 < stage.metrics.lags[1] < 5.4
    await asyncio.sleep(0.1)
    assert len(stage.engine.ticks) == 2


async def test_a_tick_that_waits_for_its_turn_is_not_overdue(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(TickQueue, "turn", lambda *_: turn)
    stage.runner.on_aiapi_update(named("a"))
    await asyncio.sleep(0.2)
    stage.late = 200.0
    assert stage.runner.overdue() == []
    turn.set_result(None)
    await until(lambda: stage.engine.ticks)
    assert stage.runner.overdue() == []


@pytest.mark.parametrize("waits_already", [True, False])
async def test_the_tick_for_an_edit_begins_before_all_that_wait(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, waits_already: bool
) -> None:
    schedule, queue = TickQueue._schedule, stage.runner._queue
    stage.runner.on_aiapi_update(named("a"))
    stage.runner.on_aiapi_update(named("b"))
    await until(lambda: len(stage.engine.ticks) == 2)
    monkeypatch.setattr(TickQueue, "_schedule", lambda _: None)
    stage.runner.on_child_update(pod("1"))
    await until(lambda: len(queue._waiting) == 1)
    if waits_already:
        stage.runner.on_autoscalers_change([("shop", "b")])
        await until(lambda: len(queue._waiting) == 2)
    stage.runner.on_aiapi_update(named("b", generation=2, resourceVersion="2"))
    await until(lambda: len(queue._waiting) == 3)
    monkeypatch.setattr(TickQueue, "_schedule", schedule)
    queue._schedule()
    await until(lambda: len(stage.engine.ticks) == 4)
    assert stage.engine.ticks[2:] == ["b", "a"]


async def test_changes_wake_the_task(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a"))
    await until(lambda: len(stage.engine.ticks) == 1)
    stage.runner.on_child_update(pod("1"))
    await until(lambda: len(stage.engine.ticks) == 2)
    stage.runner.on_child_delete(pod("1"))
    await until(lambda: len(stage.engine.ticks) == 3)
    stage.runner.on_aiapi_update(named("a", generation=2, resourceVersion="2"))
    await until(lambda: len(stage.engine.ticks) == 4)
    stage.runner.on_autoscalers_change([("shop", "a"), ("shop", "unknown")])
    await until(lambda: len(stage.engine.ticks) == 5)


async def test_an_object_that_vanished_unseen_wakes_the_task(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a"))
    stage.runner.on_child_update(pod("1"))
    await until(lambda: len(stage.engine.ticks) == 1)
    stage.runner.on_list(Listed("Pod", None, "9", frozenset()))
    await until(lambda: len(stage.engine.ticks) == 2)
    assert list(stage.cache.pods(("shop", "a"))) == []


async def test_a_status_write_does_not_wake_the_task(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a"))
    await until(lambda: len(stage.engine.ticks) == 1)
    stage.runner.on_aiapi_update(named("a", resourceVersion="2"))
    await asyncio.sleep(0.1)
    assert len(stage.engine.ticks) == 1


async def test_a_failing_aiapi_does_not_delay_others_and_is_retried(stage: Stage) -> None:
    stage.engine.fails = {"bad": RuntimeError("boom"), "worse": Unavailable("no answer")}
    for name in ("bad", "worse", "good"):
        stage.runner.on_aiapi_update(named(name, spec={"scaling": {"interval": "500ms"}}))
    await until(lambda: stage.engine.ticks.count("good") >= 2)
    assert stage.engine.ticks.count("bad") >= 3
    assert stage.engine.ticks.count("worse") >= 3
    assert stage.engine.failures[0] == "bad: boom"
    assert {"ok", "error", "cluster"} == set(stage.metrics.outcomes)
    stage.engine.fails.clear()
    seen = stage.engine.ticks.count("bad")
    await until(lambda: stage.engine.ticks.count("bad") > seen)


async def test_events_do_not_shorten_the_backoff(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_FIRST_BACKOFF", 30.0)
    stage.engine.fails = {"a": Unavailable("no answer")}
    stage.runner.on_aiapi_update(named("a"))
    await until(lambda: stage.metrics.outcomes)
    for version in range(1, 10):
        stage.runner.on_child_update(pod(str(version)))
        await asyncio.sleep(0.01)
    assert len(stage.engine.ticks) == 1


async def test_deletion_ends_the_task_and_removes_its_series(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a", spec={"scaling": {"interval": "500ms"}}))
    await until(lambda: stage.engine.ticks)
    stage.runner.on_aiapi_delete(named("a", uid="another"))
    assert stage.metrics.forgotten == []
    stage.runner.on_aiapi_delete(named("a"))
    assert stage.metrics.forgotten == [("shop", "a")]
    seen = len(stage.engine.ticks)
    await asyncio.sleep(0.6)
    assert len(stage.engine.ticks) == seen


async def test_an_aiapi_of_the_same_name_starts_over(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a", uid="old"))
    await until(lambda: stage.engine.ticks)
    stage.runner.on_aiapi_update(named("a", uid="new"))
    await until(lambda: "new" in stage.engine.ticks)
    assert stage.metrics.forgotten == [("shop", "a")]


async def test_a_missed_deletion_ends_the_task(stage: Stage) -> None:
    stage.engine.fails = {"a": AIApiDeletedError()}
    stage.runner.on_aiapi_update(named("a"))
    await until(lambda: stage.metrics.forgotten)
    stage.engine.fails.clear()
    stage.runner.on_aiapi_update(named("a", uid="new"))
    await until(lambda: "new" in stage.engine.ticks)


async def test_a_standby_watches_and_does_not_tick(stage: Stage) -> None:
    stage.leads.leads = False
    stage.runner.on_aiapi_update(named("a"))
    await asyncio.sleep(0.2)
    assert stage.engine.ticks == []
    stage.leads.leads = True
    await until(lambda: stage.engine.ticks)


async def test_an_overdue_aiapi_is_listed(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a"))
    await until(lambda: stage.engine.ticks)
    assert stage.runner.overdue() == []
    stage.late = 200.0
    assert stage.runner.overdue() == ["shop/a"]


@pytest.mark.parametrize(
    ("given", "interval"),
    [(None, 2.0), ("500ms", 0.5), ("100ms", 0.5), ("45s", 45.0), ("10m", 60.0), ("soon", 2.0)],
)
async def test_an_aiapi_is_overdue_90_s_after_its_next_tick_was_due(
    given: str | None, interval: float
) -> None:
    stage, now = Stage(), [1000.0]
    runner = Runner(
        stage.engine,  # type: ignore[arg-type] # the part of Engine that is used
        stage.cache,
        stage.leads,
        stage.metrics,
        clock=lambda: now[0],
    )
    runner.on_aiapi_update(
        named("a", spec={} if given is None else {"scaling": {"interval": given}})
    )
    now[0] += 90.0 + interval
    assert runner.overdue() == []
    now[0] += 0.001
    assert runner.overdue() == ["shop/a"]
    await runner.stop()


async def test_events_after_stop_start_nothing(stage: Stage) -> None:
    await stage.runner.stop()
    stage.runner.on_aiapi_update(named("a"))
    await asyncio.sleep(0.2)
    assert stage.engine.ticks == []


async def test_an_aiapi_that_another_shard_owns_is_forgotten_until_it_returns(
    stage: Stage,
) -> None:
    stage.engine.fails = {"a": NotOwnedError()}
    stage.runner.on_aiapi_update(named("a"))
    await until(lambda: stage.metrics.forgotten)
    assert list(stage.runner.known()) == []
    stage.engine.fails.clear()
    stage.runner.on_aiapi_update(named("a"))
    await until(lambda: len(stage.engine.ticks) == 2)


async def test_a_drain_label_wakes_the_owner(stage: Stage) -> None:
    stage.runner.on_aiapi_update(named("a", spec=SLOW))
    await until(lambda: stage.engine.ticks)
    drained = named("a", spec=SLOW)
    drained["metadata"] |= {"labels": {DRAIN_LABEL: "true"}, "resourceVersion": "9999"}
    stage.runner.on_aiapi_update(drained)
    await until(lambda: len(stage.engine.ticks) == 2)
