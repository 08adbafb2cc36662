"""Of a deleted AIApi nothing is kept, in whatever order the last events of its objects arrive."""

import asyncio
import copy
import gc
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from engine_support.world import World, aiapi

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.console.history import History
from aiapi_operator.console.metrics import MetricsWithHistory
from aiapi_operator.engine import runner as runner_module
from aiapi_operator.engine.runner import Runner
from aiapi_operator.engine.tick import Engine

COUNT = 200
_OURS = ("aiapi_operator.", "prometheus_client.")


class Operator:
    """A runner, an engine, metrics and history, over a fake cluster."""

    def __init__(self) -> None:
        self.world = World()
        self.world.cluster.objects.clear()
        self.history = History(wall=lambda: self.world.now)
        self.metrics = MetricsWithHistory(self.history)
        ports = replace(self.world.engine._ports, metrics=self.metrics)
        self.engine = Engine(ports, self.world.cache, self.world.engine._config)
        self.runner = Runner(
            self.engine,
            self.world.cache,
            self.world.leads,
            self.metrics,
            clock=asyncio.get_running_loop().time,
        )
        self._version = 1_000_000

    async def live_and_die(self, name: str, *, late_update: bool) -> None:
        """Create an AIApi with a pod, let it be sized, and delete it with all its objects."""
        manifest = aiapi()
        manifest["metadata"] |= {"name": name, "uid": f"AIApi-{name}"}
        self.world.cluster.objects["AIApi", name] = manifest
        self.runner.on_aiapi_update(manifest)
        await until(lambda: ("Deployment", name) in self.world.cluster.objects)
        self.runner.on_child_update(self._add_pod(name))
        await until(lambda: self._is_decided(name))
        self.runner.on_aiapi_delete(self.world.cluster.objects.pop(("AIApi", name)))
        for each in self.world.cluster.objects.values():
            if late_update:
                self.runner.on_child_update(self._changed(each))
            self.runner.on_child_delete(self._changed(each))
        self.world.cluster.objects.clear()
        self.world.pods.answers.clear()

    def _add_pod(self, name: str) -> Manifest:
        self.world.cluster.add_pod(f"{name}-1")
        self.world.answer(f"{name}-1")
        replica_set = {"kind": "ReplicaSet", "name": f"{name}-1", "uid": "rs", "controller": True}
        metadata = {
            "labels": {"app.kubernetes.io/instance": name},
            "ownerReferences": [replica_set],
        }
        return self.world.cluster.edit("Pod", f"{name}-1", {"metadata": metadata})

    def _is_decided(self, name: str) -> bool:
        series = f'aiapi_operator_actual_replicas{{name="{name}",namespace="shop"}} 1.0'
        return series in self.metrics.text().decode()

    def _changed(self, manifest: Manifest) -> Manifest:
        self._version += 1
        changed = copy.deepcopy(manifest)
        changed["metadata"]["resourceVersion"] = str(self._version)
        return changed

    def sizes(self) -> Counter[str]:
        """The number of entries in each container that the operator holds, by its path."""
        gc.collect()
        roots = (self.metrics, self.world.cache, self.runner)
        found: Counter[str] = Counter()
        seen: set[int] = set()
        for root in roots:
            _measure(root, type(root).__name__, found, seen)
        return found


def _measure(value: Any, path: str, found: Counter[str], seen: set[int]) -> None:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict | list | set | frozenset | deque | tuple):
        found[path] += len(value)
        for each in list(value.values() if isinstance(value, dict) else value):
            _measure(each, f"{path}[]", found, seen)
    elif type(value).__module__.startswith(_OURS):
        for name, each in _attributes(value):
            _measure(each, f"{path}.{name}", found, seen)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        names = getattr(kind, "__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if hasattr(value, name):
                yield name, getattr(value, name)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - the state has no event to wait for
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("late_update", [False, True])
async def test_many_created_and_deleted_leave_nothing(
    late_update: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "MIN_PAUSE", 0.001)
    monkeypatch.setattr("random.uniform", lambda low, _high: low)
    operator = Operator()
    await operator.live_and_die("first", late_update=late_update)
    before, tasks = operator.sizes(), len(asyncio.all_tasks())
    for number in range(COUNT):
        await operator.live_and_die(f"api-{number}", late_update=late_update)
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    grown = {path: size for path, size in (operator.sizes() - before).items() if size > 0}
    assert grown.pop("ObjectCache._deleted") <= 7 * COUNT, "the last deleted objects, up to 4,096"
    assert grown == {}
    await operator.runner.stop()


async def test_the_measure_sees_what_is_kept() -> None:
    operator = Operator()
    before = operator.sizes()
    operator.metrics.record_tick(("shop", "a"), seconds=0.1, lag=0.0, outcome="ok")
    assert "MetricsWithHistory._series._by_key" in operator.sizes() - before


async def test_ticks_leave_nothing_for_the_garbage_collector() -> None:
    world = World()
    world.add_pods("pod-1", "pod-2")
    await world.settle()
    gc.collect()
    gc.disable()
    try:
        await world.settle(20)
        assert gc.collect() == 0
    finally:
        gc.enable()
