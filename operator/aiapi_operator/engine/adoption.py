"""Reads existing objects before the first tick of a term, so that a start changes nothing."""

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

    def __init__(self, cluster: Cluster, cache: ObjectCache, observer: Observer) -> None:
        self._cluster = cluster
        self._cache = cache
        self._observer = observer

    async def adopt(
        self, ref: AIApiRef, state: AdoptionState, template: TemplateWorkersState, aiapi: AIApi
    ) -> None:
        """Fill the cache and the template's workers, once in a term."""
        if state.done:
            return
        deployment = await self._cluster.get(DEPLOYMENTS, *ref.key)
        if deployment is not None and ownership_conflict(deployment, uid=ref.uid):
            deployment = None
        if deployment is not None:
            self._cache.put(deployment)
        await self._observer.relist_pods(ref)
        template_workers.adopt(template, aiapi, deployment)
        state.done = True
