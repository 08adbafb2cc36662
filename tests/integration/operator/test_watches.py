"""The watches against a real API server's paging, selectors and versions, into the cache."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from engine_support.live import Cluster, eventually

from aiapi_operator.cluster import watch
from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.resources import SERVICES, Manifest
from aiapi_operator.cluster.watch import Listed
from aiapi_operator.cluster.watches import Watches
from aiapi_operator.engine.cache import ObjectCache

LABELS = {"app.kubernetes.io/managed-by": "aiapi-operator"}


class CacheSink:
    """Fills a cache, as the runner does."""

    def __init__(self) -> None:
        self.cache = ObjectCache()
        self.lists: list[Listed] = []

    def on_child_update(self, manifest: Manifest) -> None:
        self.cache.put(manifest)

    def on_child_delete(self, manifest: Manifest) -> None:
        self.cache.remove(manifest)

    def on_list(self, listed: Listed) -> None:
        self.lists.append(listed)
        self.cache.keep_listed(listed)


def service(name: str, port: int = 80) -> Manifest:
    labels = {**LABELS, "app.kubernetes.io/instance": name}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    spec = {"ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


@asynccontextmanager
async def watching(
    connection: Connection, namespaces: tuple[str, ...] = ()
) -> AsyncIterator[CacheSink]:
    sink = CacheSink()
    watches = Watches.of_children(connection, namespaces, sink)
    task = asyncio.create_task(watches.run())
    try:
        async with asyncio.timeout(20):
            await watches.listed()
        assert watches.waiting_for() == ""
        yield sink
    finally:
        task.cancel()
        await asyncio.wait([task])


async def sees(sink: CacheSink, name: str, port: int | None) -> None:
    async def holds() -> bool:
        found: Any = sink.cache.child(("default", name), "Service")
        return (found and found["spec"]["ports"][0]["port"]) == port

    await eventually(holds, within=10, what=f"{name} has port {port}")


async def test_objects_arrive_change_and_go(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_PAGE", "2")
    names = [f"paged-{number}" for number in range(5)]
    for name in names:
        await cluster.apply(service(name))
    async with watching(cluster.connection, ("default",)) as sink:
        for name in names:
            await sees(sink, name, 80)
        await cluster.apply(service("paged-0", 81))
        await sees(sink, "paged-0", 81)
        await cluster.delete(SERVICES, "paged-0")
        await sees(sink, "paged-0", None)
        await cluster.apply(service("paged-0"))
        await sees(sink, "paged-0", 80)
        unlabelled = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
        await cluster.patch(SERVICES, "paged-1", unlabelled)
        await sees(sink, "paged-1", None)
        await cluster.apply(service("paged-1"))
        await sees(sink, "paged-1", 80)
        assert all(sink.cache.child(("default", name), "Service") for name in names)
    for name in names:
        await cluster.delete(SERVICES, name)


async def test_what_changes_while_no_watch_runs_is_noticed_by_the_next_list(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_SHORTEST": 1, "_LONGEST": 1, "_STABLE": 0.5}.items():
        monkeypatch.setattr(watch, name, value)
    await cluster.apply(service("gone"))
    async with watching(cluster.connection) as sink:
        await sees(sink, "gone", 80)
        # Events get lost, and the server does not serve the version any more.
        deliver = watch.ListWatch._deliver

        def lose(listwatch: watch.ListWatch, line: bytes) -> str:
            return deliver(listwatch, line) if b'"ERROR"' in line else "1"

        monkeypatch.setattr(watch.ListWatch, "_deliver", lose)
        await cluster.delete(SERVICES, "gone")
        await sees(sink, "gone", None)
        assert [each.kind for each in sink.lists].count("Service") >= 2
