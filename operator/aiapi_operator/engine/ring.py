"""The ring: gives each AIApi an owner among the live shards. One operator holds it.

Every operator of a sharded installation observes the Leases of the shards, so that the next holder
of the ring knows at once which shards are live.

An AIApi leaves a shard that is not live after the ring has taken the Lease of that shard: its
operators cannot lead again before the label has changed. All of it happens within ``_ROUND`` of
reading the Leases.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from aiapi_operator.cluster.errors import ClusterError, Conflict, NotFound
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.cluster.watch import Listed, Sink
from aiapi_operator.engine.cache import Key, is_newer
from aiapi_operator.engine.shards import FENCE, Liveness, Move, labels_of, move, owner_of

PERIOD = 1.0
_ROUND = 5.0
"""Seconds that a round may take: less than a Lease may go without a renewal."""
_CONCURRENT = 16

_log = logging.getLogger(__name__)


class Leases(Protocol):
    """The Leases of the shards."""

    async def read(self) -> dict[int, Manifest]:
        """The Leases by shard."""

    async def take(self, lease: Manifest, identity: str) -> bool:
        """Hold a Lease for its duration, if it has not changed since it was read."""


class Labels(Protocol):
    """Sets the labels of AIApis."""

    async def relabel(self, manifest: Manifest, labels: Mapping[str, str | None]) -> None:
        """Set labels, or remove those that are None, if this is still the object's version."""


class View(Protocol):
    """Watches the metadata of all AIApis."""

    async def run(self) -> None:
        """Watch until cancelled."""

    def waiting_for(self) -> str:
        """Why not all AIApis are known yet; empty once they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingPorts:
    """What the ring needs from outside."""

    leases: Leases
    labels: Labels
    view: Callable[[Sink], View]
    held: Callable[[], bool]
    """Whether this operator holds the ring Lease."""
    clock: Callable[[], float]
    unowned: Callable[[int], None]
    """Records how many AIApis have no live owner."""


class Ring:
    """Observes the shards and, while it holds the ring Lease, assigns AIApis to them."""

    def __init__(self, ports: RingPorts, *, identity: str, shards: int) -> None:
        self._ports = ports
        self._identity = FENCE + identity
        self._liveness = Liveness(shards)
        self._aiapis: dict[Key, Manifest] = {}
        self._watching: tuple[View, asyncio.Task[None]] | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(_ROUND):
                        await self.round()
                except (ClusterError, TimeoutError) as error:
                    _log.warning("a round of the ring failed: %s", str(error) or "no answer")
                except Exception:  # noqa: BLE001 - a defect must not leave AIApis without an owner
                    _log.exception("a round of the ring failed")
                await asyncio.sleep(PERIOD)
        finally:
            await self._leave()

    async def round(self) -> None:
        """Observe the Leases, and take the steps that are due."""
        leases = await self._ports.leases.read()
        owners = {owner_of(labels_of(each)) for each in self._aiapis.values()}
        named = {owner for owner in owners if owner is not None}
        live = self._liveness.observe(leases, named, self._ports.clock())
        if not self._ports.held():
            await self._leave()
            return
        if self._knows_all():
            await self._assign(leases, live)

    async def _assign(self, leases: Mapping[int, Manifest], live: set[int]) -> None:
        targets = self._liveness.targets(leases, live)
        found = [(each, labels_of(each)) for each in self._aiapis.values()]
        self._ports.unowned(sum(owner_of(labels) not in live for _, labels in found))
        steps = [
            (manifest, step)
            for manifest, labels in found
            if (step := move(_key(manifest), labels, live, targets)) is not None
        ]
        refused = await self._fence(leases, {step.fence for _, step in steps})
        await self._carry_out([each for each in steps if each[1].fence not in refused])

    async def _fence(
        self, leases: Mapping[int, Manifest], shards: set[int | None]
    ) -> set[int | None]:
        """Take the Leases of shards that are not live. Returns the shards that came back."""
        refused: set[int | None] = set()
        for shard in shards:
            if shard is None or shard not in leases:
                continue
            if not await self._ports.leases.take(leases[shard], self._identity):
                refused.add(shard)
        return refused

    async def _carry_out(self, steps: Sequence[tuple[Manifest, Move]]) -> None:
        slots = asyncio.Semaphore(_CONCURRENT)

        async def relabel(manifest: Manifest, step: Move) -> None:
            async with slots:
                if not self._ports.held():
                    return
                with suppress(Conflict, NotFound):  # the watch delivers what it is now
                    await self._ports.labels.relabel(manifest, step.labels)

        results = await asyncio.gather(*(relabel(*each) for each in steps), return_exceptions=True)
        errors = [each for each in results if isinstance(each, Exception)]
        if errors:
            _log.warning("labelling %d AIApis failed: %s", len(errors), errors[0])

    # --- the view of all AIApis

    def _knows_all(self) -> bool:
        if self._watching is None or self._watching[1].done():
            view = self._ports.view(self)
            self._watching = view, asyncio.create_task(view.run(), name="ring")
        return not self._watching[0].waiting_for()

    async def _leave(self) -> None:
        if self._watching is None:
            return
        task = self._watching[1]
        self._watching = None
        task.cancel()
        await asyncio.wait([task])
        self._aiapis.clear()
        self._ports.unowned(0)

    def on_child_update(self, manifest: Manifest) -> None:
        """Handle an AIApi that exists, was created, or changed."""
        key = _key(manifest)
        if is_newer(manifest, self._aiapis.get(key)):
            self._aiapis[key] = _pruned(manifest)

    def on_child_delete(self, manifest: Manifest) -> None:
        """Handle a deleted AIApi."""
        known = self._aiapis.get(_key(manifest))
        if known is not None and known["metadata"]["uid"] == manifest["metadata"]["uid"]:
            del self._aiapis[_key(manifest)]

    def on_list(self, listed: Listed) -> None:
        """Handle a complete list: other AIApis do not exist."""
        for key, known in list(self._aiapis.items()):
            if listed.namespace not in (None, key[0]):
                continue
            if known["metadata"]["uid"] not in listed.uids:
                del self._aiapis[key]


def _key(manifest: Manifest) -> Key:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _pruned(manifest: Manifest) -> Manifest:
    kept = ("namespace", "name", "uid", "resourceVersion", "labels")
    metadata = manifest["metadata"]
    return {"metadata": {key: metadata[key] for key in kept if key in metadata}}
