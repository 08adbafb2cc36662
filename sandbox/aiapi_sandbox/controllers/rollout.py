"""Rollout arithmetic: the next size of each ReplicaSet of a Deployment. Pure.

ReplicaSets are API objects; results map their names to the new `spec.replicas`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

JsonObject = Mapping[str, Any]
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, kw_only=True)
class RolloutLimits:
    """The desired replicas, maxSurge and maxUnavailable as absolute numbers."""

    desired: int
    surge: int
    unavailable: int

    @property
    def max_pods(self) -> int:
        """The maximum number of pods during the rollout."""
        return self.desired + self.surge

    @property
    def min_available(self) -> int:
        """The minimum number of available pods."""
        return self.desired - self.unavailable


def rollout_limits(deployment: JsonObject) -> RolloutLimits:
    """Resolve the limits. Percentages round up for maxSurge, down for maxUnavailable."""
    spec = deployment["spec"]
    desired = spec.get("replicas", 1)
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate":
        return RolloutLimits(desired=desired, surge=0, unavailable=desired)
    rolling = strategy.get("rollingUpdate") or {}
    surge = _resolve(rolling.get("maxSurge", "25%"), desired, up=True)
    unavailable = _resolve(rolling.get("maxUnavailable", "25%"), desired, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return RolloutLimits(
        desired=desired,
        surge=surge if desired else 0,
        unavailable=min(unavailable, desired),
    )


def _resolve(value: int | str, total_replicas: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * total_replicas / 100
    return math.ceil(exact) if up else math.floor(exact)


def desired_replicas(replica_set: JsonObject) -> int:
    """The `spec.replicas` of a ReplicaSet."""
    return int(replica_set["spec"].get("replicas", 1))


def available_replicas(replica_set: JsonObject) -> int:
    """The available replicas of a ReplicaSet."""
    return int(replica_set.get("status", {}).get("availableReplicas", 0))


def total_replicas(replica_sets: Iterable[JsonObject]) -> int:
    """The sum of `spec.replicas`."""
    return sum(map(desired_replicas, replica_sets))


def scale_up_new(limits: RolloutLimits, new: JsonObject | None, old: Sequence[JsonObject]) -> int:
    """Return the new ReplicaSet's next size, as large as maxSurge allows."""
    current = desired_replicas(new) if new else 0
    if current > limits.desired:
        return limits.desired
    headroom = limits.max_pods - current - total_replicas(old)
    return current + max(0, min(headroom, limits.desired - current))


def scale_down_old(
    limits: RolloutLimits, new: JsonObject, old: Sequence[JsonObject]
) -> dict[str, int]:
    """Return the old ReplicaSets' next sizes. Unavailable pods are removed first."""
    sizes = {rs["metadata"]["name"]: desired_replicas(rs) for rs in old if desired_replicas(rs)}
    ordered = sorted(
        (rs for rs in old if desired_replicas(rs)),
        key=lambda rs: rs["metadata"]["creationTimestamp"],
    )
    new_unavailable = max(0, desired_replicas(new) - available_replicas(new))
    spare = total_replicas(old) + desired_replicas(new) - limits.min_available - new_unavailable
    for replica_set in ordered:
        broken = max(0, desired_replicas(replica_set) - available_replicas(replica_set))
        cut = max(0, min(broken, spare))
        sizes[replica_set["metadata"]["name"]] -= cut
        spare -= cut
    healthy = sum(available_replicas(rs) for rs in (*ordered, new))
    spare = min(spare, healthy - limits.min_available)
    for replica_set in ordered:
        cut = max(0, min(sizes[replica_set["metadata"]["name"]], spare))
        sizes[replica_set["metadata"]["name"]] -= cut
        spare -= cut
    return {rs["metadata"]["name"]: sizes[rs["metadata"]["name"]] for rs in ordered}


def is_scaling_event(limits: RolloutLimits, replica_sets: Iterable[JsonObject]) -> bool:
    """Whether the Deployment's replicas changed since the ReplicaSets were last scaled."""
    return any(
        _annotation(rs, DESIRED) not in (None, limits.desired)
        for rs in replica_sets
        if desired_replicas(rs)
    )


def _annotation(replica_set: JsonObject, name: str) -> int | None:
    text = (replica_set["metadata"].get("annotations") or {}).get(name)
    return int(text) if text is not None and text.isdigit() else None


def scale_proportionally(
    limits: RolloutLimits, new: JsonObject | None, old: Sequence[JsonObject]
) -> dict[str, int]:
    """Return the ReplicaSets' sizes after the Deployment's replicas changed.

    A single ReplicaSet gets all replicas. During a rollout, the change is distributed over the
    ReplicaSets in proportion to their sizes.
    """
    running = [rs for rs in (new, *old) if rs is not None and desired_replicas(rs)]
    if not running and new is not None:
        running = [new]
    if len(running) == 1:
        return {running[0]["metadata"]["name"]: limits.desired}
    if new is not None and desired_replicas(new) == limits.desired == available_replicas(new):
        return {rs["metadata"]["name"]: 0 for rs in old if desired_replicas(rs)}
    return _in_proportion(limits, running)


def _in_proportion(limits: RolloutLimits, running: Sequence[JsonObject]) -> dict[str, int]:
    allowed = limits.max_pods if limits.desired else 0
    change = allowed - total_replicas(running)
    left = change
    sizes = {}
    for replica_set in sorted(running, key=desired_replicas, reverse=True):
        size, before = desired_replicas(replica_set), _annotation(replica_set, MAXIMUM)
        share = round(size * allowed / (before or total_replicas(running))) - size
        share = max(min(share, left), 0) if change > 0 else min(max(share, left), 0)
        sizes[replica_set["metadata"]["name"]] = max(0, size + share)
        left -= share
    first = next(iter(sizes), None)
    if first is not None:
        sizes[first] = max(0, sizes[first] + left)
    return sizes
