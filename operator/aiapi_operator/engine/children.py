"""Applies the children of an AIApi, and sends no request while they are up to date.

A child is applied when its manifest changed, when it is missing, or when it differs from the
result of the last apply because it was edited. Server-side apply restores the operator's fields
and leaves all others.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from aiapi_operator.cluster.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound
from aiapi_operator.cluster.resources import SERVICES, Manifest, of
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache, content_hash
from aiapi_operator.engine.existence import ensure_exists
from aiapi_operator.engine.ownership import ownership_conflict
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.engine.refused_fields import explained
from aiapi_operator.engine.rejection import Rejection, reject

_FIRST_RETRY = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AppliedChild:
    """A child after its last apply: hashes of the manifest and of the resulting object."""

    desired: str
    content: str


@dataclass(slots=True)
class ChildrenState:
    """What was applied and rejected, by kind."""

    applied: dict[str, AppliedChild] = field(default_factory=dict)
    rejections: dict[str, Rejection] = field(default_factory=dict)


class Children:
    """Applies children."""

    def __init__(self, cluster: Cluster, cache: ObjectCache, *, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._cache = cache
        self._clock = clock

    async def reconcile(
        self, ref: AIApiRef, state: ChildrenState, desired: tuple[Manifest, ...]
    ) -> list[str]:
        """Apply all children in this order. Returns the errors of the rejected ones."""
        for child in desired:
            await self._reconcile_child(ref, state, child)
        return [f"{kind}: {rejection.message}" for kind, rejection in state.rejections.items()]

    async def _reconcile_child(self, ref: AIApiRef, state: ChildrenState, child: Manifest) -> None:
        kind, desired = child["kind"], _hash(child)
        if not self._is_due(ref, state, kind, desired):
            return
        applied = state.applied.get(kind)
        cached = self._cache.objects(ref.key).children.get(kind)
        if applied is not None and cached is None:
            await ensure_exists(self._cluster, ref)
        elif applied is not None and cached is not None and applied.desired == desired:
            _log.info("restoring a child that was edited", extra=ref.log_fields(child=kind))
        try:
            if applied is None or cached is None:
                await self._check_ownership(ref, child)
            if cached is not None and _has_foreign_ports(cached, child):
                await self._cluster.replace_part(child, {"spec": {"ports": child["spec"]["ports"]}})
            answer = await self._cluster.apply(child)
        except (Conflict, Forbidden, Invalid, NotFound) as error:
            await self._record_rejection(ref, state, kind, desired, error)
            return
        state.rejections.pop(kind, None)
        state.applied[kind] = AppliedChild(desired=desired, content=content_hash(answer))
        self._cache.put(answer)

    async def _check_ownership(self, ref: AIApiRef, child: Manifest) -> None:
        """Raise ``Conflict`` when an object of another owner has the child's name."""
        found = await self._cluster.get(of(child), ref.namespace, child["metadata"]["name"])
        if found is not None and (conflict := ownership_conflict(found, uid=ref.uid)):
            raise Conflict(conflict)

    def _is_due(self, ref: AIApiRef, state: ChildrenState, kind: str, desired: str) -> bool:
        rejection = state.rejections.get(kind)
        if rejection is not None and rejection.blocks(desired, now=self._clock()):
            return False
        applied = state.applied.get(kind)
        cached = self._cache.objects(ref.key).children.get(kind)
        if applied is None or cached is None or applied.desired != desired:
            return True
        return content_hash(cached) != applied.content

    async def _record_rejection(
        self, ref: AIApiRef, state: ChildrenState, kind: str, desired: str, error: ClusterError
    ) -> None:
        if isinstance(error, NotFound):
            await ensure_exists(self._cluster, ref)
        state.rejections[kind] = reject(
            state.rejections.get(kind),
            desired,
            explained(error.message),
            now=self._clock(),
            first_delay=_FIRST_RETRY,
        )
        _log.warning("applying a child failed: %s", error.message, extra=ref.log_fields(child=kind))


def _has_foreign_ports(cached: Manifest, child: Manifest) -> bool:
    """Whether a Service has ports of another field manager.

    Server-side apply would keep them beside ours. Both have the same name, which is invalid.
    """
    if child["kind"] != SERVICES.kind:
        return False
    return not _ports(cached) <= _ports(child)


def _ports(service: Manifest) -> set[tuple[int, str]]:
    ports = service["spec"].get("ports") or ()
    return {(port["port"], port.get("protocol", "TCP")) for port in ports}


def _hash(manifest: Manifest) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
