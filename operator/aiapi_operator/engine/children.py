"""Applies the children of an AIApi, and sends no request while they are up to date.

A child is applied when its manifest changed, when it is missing, or when it differs from the
result of the last apply because it was edited. Server-side apply restores the operator's fields
and leaves all others. After a start, a child that was applied from the same manifest and still has
all of it is left alone.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from aiapi_operator.cluster.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound
from aiapi_operator.cluster.resources import ENDPOINT_SLICES, SERVICES, Manifest, of
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.cached_child import CachedChild, content_hash
from aiapi_operator.engine.containment import contains
from aiapi_operator.engine.existence import ensure_exists
from aiapi_operator.engine.ownership import ownership_conflict
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.engine.refused_fields import explained
from aiapi_operator.engine.rejection import Rejection, reject
from aiapi_operator.manifests.applied import with_hash

_FIRST_RETRY = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AppliedChild:
    """A child after its last apply: hashes of the manifest and of the resulting object."""

    desired: str
    content: bytes


@dataclass(slots=True)
class ChildrenState:
    """What was applied and rejected, by kind."""

    applied: dict[str, AppliedChild] = field(default_factory=dict)
    rejections: dict[str, Rejection] = field(default_factory=dict)
    basis: object = None
    """What the manifests were last made from. While it is the same, so are they."""


class Children:
    """Applies children."""

    def __init__(self, cluster: Cluster, cache: ObjectCache, *, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._cache = cache
        self._clock = clock

    async def reconcile(
        self,
        ref: AIApiRef,
        state: ChildrenState,
        basis: object,
        build: Callable[[], tuple[Manifest, ...]],
    ) -> list[str]:
        """Apply all children in their order. Returns the errors of the rejected ones.

        ``build`` makes the manifests; it is called when ``basis`` or a child has changed.
        """
        if self._is_settled(ref, state, basis):
            return []
        wanted = build()
        for child in wanted:
            await self._reconcile_child(ref, state, with_hash(child))
        await self._remove_slice(ref, state, {child["kind"] for child in wanted})
        state.basis = basis
        return [f"{kind}: {rejection.message}" for kind, rejection in state.rejections.items()]

    async def _remove_slice(
        self, ref: AIApiRef, state: ChildrenState, wanted: Container[str]
    ) -> None:
        """Delete the EndpointSlice once pods answer. All other children stay while the AIApi is."""
        kind = ENDPOINT_SLICES.kind
        cached = self._cache.child(ref.key, kind)
        if kind in wanted or cached is None:
            return
        state.applied.pop(kind, None)
        state.rejections.pop(kind, None)
        await self._cluster.delete(ENDPOINT_SLICES, ref.namespace, cached["metadata"]["name"])

    def _is_settled(self, ref: AIApiRef, state: ChildrenState, basis: object) -> bool:
        if state.rejections or state.basis is None or state.basis != basis:
            return False
        children = self._cache.objects(ref.key).children
        return all(
            (cached := children.get(kind)) is not None and cached.content == applied.content
            for kind, applied in state.applied.items()
        )

    async def _reconcile_child(self, ref: AIApiRef, state: ChildrenState, child: Manifest) -> None:
        kind, desired = child["kind"], _hash(child)
        rejection = state.rejections.get(kind)
        if rejection is not None and rejection.blocks(desired, now=self._clock()):
            return
        applied, cached = state.applied.get(kind), self._cached(ref, child)
        if applied is None and cached is not None and _is_applied(cached, child, ref):
            state.rejections.pop(kind, None)
            state.applied[kind] = AppliedChild(desired=desired, content=cached.content)
            return
        if applied is not None and cached is not None and applied.desired == desired:
            if cached.content == applied.content:
                return
            _log.info("restoring a child that was edited", extra=ref.log_fields(child=kind))
        if applied is not None and cached is None:
            await ensure_exists(self._cluster, ref)
        try:
            if applied is None or cached is None:
                await self._check_ownership(ref, child, cached)
            answer = await self._apply(child, cached)
        except (Conflict, Forbidden, Invalid, NotFound) as error:
            await self._record_rejection(ref, state, kind, desired, error)
            return
        state.rejections.pop(kind, None)
        state.applied[kind] = AppliedChild(desired=desired, content=content_hash(answer))
        self._cache.put(answer)

    async def _apply(self, child: Manifest, cached: CachedChild | None) -> Manifest:
        if cached is not None and _has_foreign_ports(cached, child):
            await self._cluster.replace_part(child, {"spec": {"ports": child["spec"]["ports"]}})
        return await self._cluster.apply(child)

    def _cached(self, ref: AIApiRef, child: Manifest) -> CachedChild | None:
        cached = self._cache.objects(ref.key).children.get(child["kind"])
        return cached if cached is not None and cached.name == child["metadata"]["name"] else None

    async def _check_ownership(
        self, ref: AIApiRef, child: Manifest, cached: CachedChild | None
    ) -> None:
        """Raise ``Conflict`` when an object of another owner has the child's name."""
        if cached is not None:
            found: Manifest | None = cached.manifest()
        else:
            found = await self._cluster.get(of(child), ref.namespace, child["metadata"]["name"])
        if found is not None and (conflict := ownership_conflict(found, uid=ref.uid)):
            raise Conflict(conflict)

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


def _is_applied(cached: CachedChild, child: Manifest, ref: AIApiRef) -> bool:
    found = cached.manifest()
    return contains(found, child) and not ownership_conflict(found, uid=ref.uid)


def _has_foreign_ports(cached: CachedChild, child: Manifest) -> bool:
    """Whether a Service has ports of another field manager.

    Server-side apply would keep them beside ours. Both have the same name, which is invalid.
    """
    if child["kind"] != SERVICES.kind:
        return False
    return not _ports(cached.manifest()) <= _ports(child)


def _ports(service: Manifest) -> set[tuple[int, str]]:
    ports = service["spec"].get("ports") or ()
    return {(port["port"], port.get("protocol", "TCP")) for port in ports}


def _hash(manifest: Manifest) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
