"""The ring with fake Leases and labels, and a clock that the test advances."""

import asyncio
import copy
from collections.abc import Mapping
from typing import Any

from aiapi_operator.cluster.errors import Conflict
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.cluster.watch import Listed, Sink
from aiapi_operator.engine.ring import Ring, RingPorts
from aiapi_operator.engine.shards import DRAIN_LABEL, EXPIRED_AFTER, FENCE, rendezvous
from aiapi_operator.manifests.labels import SHARD_LABEL

NAMES = [f"api-{number}" for number in range(6)]


class FakeLeases:
    def __init__(self, shards: int) -> None:
        self.leases = {shard: _lease(shard, 1) for shard in range(shards)}
        self.taken: list[int] = []
        self.renewed_meanwhile = False

    async def read(self) -> dict[int, Manifest]:
        return copy.deepcopy(self.leases)

    async def take(self, lease: Manifest, identity: str) -> bool:
        if self.renewed_meanwhile:
            return False
        assert identity == FENCE + "me"
        self.taken.append(int(lease["metadata"]["labels"][SHARD_LABEL]))
        return True

    def renew(self, *shards: int) -> None:
        for shard in shards:
            version = int(self.leases[shard]["metadata"]["resourceVersion"]) + 1
            self.leases[shard] = _lease(shard, version)


def _lease(shard: int, version: int) -> Manifest:
    labels = {SHARD_LABEL: str(shard)}
    metadata = {"resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, "spec": {"holderIdentity": f"pod-{shard}"}}


class World:
    """Three shards, one ring, and a watch that delivers at once."""

    def __init__(self) -> None:
        self.leases, self.held, self.now = FakeLeases(3), True, 0.0
        self.unowned: list[int] = []
        self.aiapis = {name: _aiapi(name) for name in NAMES}
        self.writes: list[tuple[str, Mapping[str, str | None]]] = []
        self.sink: Sink | None = None
        self.ring = Ring(
            RingPorts(
                leases=self.leases,
                labels=self,
                view=self._view,
                held=lambda: self.held,
                clock=lambda: self.now,
                unowned=self.unowned.append,
            ),
            identity="me",
            shards=3,
        )

    def _view(self, sink: Sink) -> "World":
        self.sink = sink
        for each in self.aiapis.values():
            sink.on_child_update(copy.deepcopy(each))
        return self

    async def run(self) -> None:
        await asyncio.Event().wait()

    def waiting_for(self) -> str:
        return ""

    async def relabel(self, manifest: Manifest, labels: Mapping[str, str | None]) -> None:
        name = manifest["metadata"]["name"]
        known = self.aiapis[name]["metadata"]
        if manifest["metadata"]["resourceVersion"] != known["resourceVersion"]:
            raise Conflict("stale")
        self.writes.append((name, labels))
        self.label(name, labels)

    def label(self, name: str, labels: Mapping[str, str | None]) -> None:
        metadata = self.aiapis[name]["metadata"]
        kept = {**metadata["labels"], **labels}
        metadata["labels"] = {key: text for key, text in kept.items() if text is not None}
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        if self.sink is not None:
            self.sink.on_child_update(copy.deepcopy(self.aiapis[name]))

    async def round(self, *renewed: int, after: float = 1.0) -> None:
        self.now += after
        self.leases.renew(*renewed)
        self.writes.clear()
        await self.ring.round()

    def labels(self) -> dict[str, Any]:
        return {name: each["metadata"]["labels"] for name, each in self.aiapis.items()}


def _aiapi(name: str) -> Manifest:
    metadata = {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "1"}
    return {"metadata": {**metadata, "labels": {}}}


def owned(shards: set[int]) -> dict[str, Any]:
    return {name: {SHARD_LABEL: str(rendezvous(("shop", name), shards))} for name in NAMES}


async def test_every_aiapi_gets_an_owner_and_then_nothing_is_written() -> None:
    world = World()
    await world.round(0, 1, 2)
    assert world.labels() == owned({0, 1, 2})
    assert world.unowned == [6]
    await world.round(0, 1, 2)
    assert world.writes == []
    assert world.unowned == [6, 0]


async def test_only_the_holder_of_the_ring_writes() -> None:
    world = World()
    world.held = False
    await world.round(0, 1, 2)
    assert world.writes == []
    assert world.sink is None


async def test_a_dead_shard_is_fenced_before_its_aiapis_move() -> None:
    world = World()
    await world.round(0, 1, 2)
    await world.round(0, 1, after=EXPIRED_AFTER)
    assert world.leases.taken == [2]
    assert world.labels() == owned({0, 1})


async def test_nothing_moves_from_a_shard_that_renews_in_the_meantime() -> None:
    world = World()
    await world.round(0, 1, 2)
    world.leases.renewed_meanwhile = True
    await world.round(0, 1, after=EXPIRED_AFTER)
    assert world.labels() == owned({0, 1, 2})
    assert world.unowned[-1] > 0


async def test_a_live_owner_is_asked_to_release_first() -> None:
    world = World()
    await world.round(0, 1, 2)
    wanted = int(world.labels()["api-0"][SHARD_LABEL])
    other = str((wanted + 1) % 3)
    world.label("api-0", {SHARD_LABEL: other})
    await world.round(0, 1, 2)
    assert world.writes == [("api-0", {DRAIN_LABEL: "true"})]
    await world.round(0, 1, 2)
    assert world.writes == []
    world.label("api-0", {SHARD_LABEL: None, DRAIN_LABEL: None})
    await world.round(0, 1, 2)
    assert world.labels() == owned({0, 1, 2})


async def test_a_label_on_an_old_version_is_not_written() -> None:
    world = World()
    await world.round(0, 1, 2)
    sink, world.sink = world.sink, None
    world.label("api-0", {SHARD_LABEL: None})
    assert sink is not None
    stale = copy.deepcopy(_aiapi("api-0"))
    stale["metadata"]["resourceVersion"] = "3"
    sink.on_child_update(stale)
    world.label("api-0", {SHARD_LABEL: "1"})
    await world.round(0, 1, 2)
    assert world.writes == []


async def test_deleted_aiapis_are_forgotten() -> None:
    world = World()
    await world.round(0, 1, 2)
    assert world.sink is not None
    world.sink.on_child_delete(world.aiapis["api-0"])
    kept = frozenset(NAMES[2:])
    world.sink.on_list(Listed(kind="AIApi", namespace=None, version="9", uids=kept))
    assert {name for _, name in world.ring._aiapis} == set(NAMES[2:])
