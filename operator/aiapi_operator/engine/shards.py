"""Who acts on an AIApi where several operators share the work. Pure.

The label ``aiapi.dev/shard`` names the owner. The holder of the ring Lease sets it. To move an
AIApi from a live shard, the ring adds the drain label; the owner stops and removes both labels;
only then does the ring name another owner. So there is never more than one.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.cache import Key
from aiapi_operator.manifests.labels import SHARD_LABEL

DRAIN_LABEL = "aiapi.dev/drain"
RELEASED: Mapping[str, str | None] = {SHARD_LABEL: None, DRAIN_LABEL: None}
"""The labels of an AIApi that has no owner."""
EXPIRED_AFTER = 11.5
"""Seconds without a renewal after which a shard is not live. Longer than the Lease's duration: the
shard's standby takes over first, and nothing has to move."""


class Duty(StrEnum):
    """What an operator has to do with an AIApi."""

    ACT = "Act"
    WAIT = "Wait"
    RELEASE = "Release"


def duty(labels: Mapping[str, str], shard: int | None, *, leads: bool = True) -> Duty:
    """What the operator of a shard may do. Without shards it acts on every AIApi."""
    if not leads:
        return Duty.WAIT
    if shard is None:
        return Duty.ACT
    if labels.get(SHARD_LABEL) != str(shard):
        return Duty.WAIT
    return Duty.RELEASE if DRAIN_LABEL in labels else Duty.ACT


@dataclass(frozen=True, slots=True)
class Move:
    """Labels to set, and the shard that must not come back before they are."""

    labels: Mapping[str, str | None]
    fence: int | None = None


def move(
    key: Key, labels: Mapping[str, str], live: Collection[int], targets: Collection[int]
) -> Move | None:
    """The next step to the owner that an AIApi should have; None where there is none to take.

    ``targets`` are the live shards that may get AIApis.
    """
    wanted = rendezvous(key, targets)
    if wanted is None:
        return None
    owner = owner_of(labels)
    if owner not in live:
        return Move({SHARD_LABEL: str(wanted), DRAIN_LABEL: None}, fence=owner)
    if owner == wanted or DRAIN_LABEL in labels:
        return None
    return Move({DRAIN_LABEL: "true"})


def owner_of(labels: Mapping[str, str]) -> int | None:
    """The shard in the label."""
    text = labels.get(SHARD_LABEL, "")
    return int(text) if text.isascii() and text.isdigit() else None


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    """The labels of an object."""
    return manifest["metadata"].get("labels") or {}


def rendezvous(key: Key, shards: Collection[int]) -> int | None:
    """The shard with the highest weight for this AIApi.

    A shard that joins or leaves moves only the AIApis that it gains or had.
    """
    return max(shards, key=lambda shard: _weight(key, shard), default=None)


def _weight(key: Key, shard: int) -> bytes:
    return hashlib.blake2b(f"{key[0]}/{key[1]}/{shard}".encode(), digest_size=8).digest()


@dataclass(slots=True)
class Liveness:
    """Since when the Lease of each shard has not changed, on this operator's own clock."""

    shards: int
    since: dict[int, tuple[str, float]] = field(default_factory=dict)

    def targets(self, leases: Collection[int], live: Collection[int]) -> set[int]:
        """The live shards of this installation, without those that only a label names."""
        return {shard for shard in live if shard in leases or shard < self.shards}

    def observe(
        self, leases: Mapping[int, Manifest], named: Collection[int], now: float
    ) -> set[int]:
        """The shards that are live now; ``named`` are those in the labels of AIApis.

        A Lease that was never seen before counts as renewed: its shard may be starting.
        """
        for shard in {*range(self.shards), *leases, *named}:
            version = leases[shard]["metadata"]["resourceVersion"] if shard in leases else ""
            if self.since.get(shard, ("none",))[0] != version:
                self.since[shard] = version, now
        known = {shard for shard, (_, since) in self.since.items() if now - since < EXPIRED_AFTER}
        return {shard for shard in known if not is_fenced(leases.get(shard))}


FENCE = "ring:"
"""Starts the holder of a Lease that the ring has taken from a shard that is not live."""


def is_fenced(lease: Manifest | None) -> bool:
    """Whether the ring has taken the Lease."""
    holder = ((lease or {}).get("spec") or {}).get("holderIdentity") or ""
    return bool(holder.startswith(FENCE))
