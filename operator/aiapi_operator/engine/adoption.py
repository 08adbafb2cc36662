"""Reads existing objects before the first tick of a term, so that a start changes nothing.

Soon after all objects were listed, the cache has them. Later, a watch may have lost its connection
without knowing it yet.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.resources import DEPLOYMENTS
from aiapi_operator.engine import template_workers
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.observer import Observer
from aiapi_operator.engine.ownership import ownership_conflict
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.engine.template_workers import TemplateWorkersState


@dataclass(slots=True)
class AdoptionState:
    """Whether the existing Deployment and pods were read in this term."""

    done: bool = False


class Adoption:
    """Reads the existing Deployment and pods of an AIApi."""

    def __init__(
        self,
        cluster: Cluster,
        cache: ObjectCache,
        observer: Observer,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._cluster = cluster
        self._cache = cache
        self._observer = observer

    async def adopt(
        self, ref: AIApiRef, state: AdoptionState, template: TemplateWorkersState, aiapi: AIApi
    ) -> None:
        """Fill the cache and the template's workers, once in a term."""
        if state.done:
            return
        is_fresh = self._cache.is_fresh(self._clock())
        deployment = self._cache.child(ref.key, DEPLOYMENTS.kind) if is_fresh else None
        if deployment is None:
            deployment = await self._cluster.get(DEPLOYMENTS, *ref.key)
        if deployment is not None and ownership_conflict(deployment, uid=ref.uid):
            deployment = None
        if deployment is not None:
            self._cache.put(deployment)
        if not is_fresh:
            await self._observer.relist_pods(ref)
        template_workers.adopt(template, aiapi, deployment)
        state.done = True
