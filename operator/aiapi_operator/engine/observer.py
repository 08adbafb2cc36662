"""Scrapes the fleet of one AIApi, and lists its pods again when one stays silent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from aiapi_operator.api.duration import parse_duration
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.cache import ObjectCache
from aiapi_operator.engine.fleet import AdminAccess, Observation, unreachable_pods
from aiapi_operator.engine.ports import Cluster, Scraper
from aiapi_operator.manifests.labels import selector_text
from aiapi_operator.observe.scrape_schedule import ScrapeSchedule
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

RELIST_AFTER = 30.0
"""Seconds without an answer after which pods are listed: a watch may miss a deletion."""


@dataclass(slots=True)
class ObserverState:
    """The pods' last answers, and since when one of them is missing."""

    schedule: ScrapeSchedule = field(default_factory=ScrapeSchedule)
    silent_since: float | None = None


class Observer:
    """Scrapes pods."""

    def __init__(
        self,
        cluster: Cluster,
        scraper: Scraper,
        cache: ObjectCache,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._scraper = scraper
        self._cache = cache
        self._clock = clock

    async def observe(
        self,
        ref: AIApiRef,
        state: ObserverState,
        observation: Observation,
        *,
        access: AdminAccess,
        workers: int | None,
    ) -> Observation:
        """Add each pod's last answer; ``workers`` is the decided number in each pod."""
        ports = [(pod, access.target(pod)) for pod in observation.pods]
        targets = [target for _, target in ports if target is not None]
        interval = parse_duration(observation.aiapi.spec.scaling.interval)
        due = state.schedule.due(targets, interval=interval, workers=workers)
        scraped = await self._scraper.scrape(due, access.tokens)
        answers = state.schedule.record(targets, scraped)
        await self._relist_when_silent(ref, state, answers)
        unreachable = unreachable_pods(pod for pod, target in ports if target is None)
        return replace(observation, answers=(*answers, *unreachable))

    async def relist_pods(self, ref: AIApiRef) -> None:
        """Replace the cached pods by a fresh list."""
        pods = await self._cluster.pods(ref.namespace, selector_text(ref.name))
        self._cache.replace_pods(ref.key, pods)

    async def _relist_when_silent(
        self, ref: AIApiRef, state: ObserverState, answers: Sequence[PodSample | PodUnknown]
    ) -> None:
        if all(isinstance(answer, PodSample) for answer in answers):
            state.silent_since = None
        elif state.silent_since is None:
            state.silent_since = self._clock()
        elif self._clock() - state.silent_since > RELIST_AFTER:
            await self.relist_pods(ref)
            state.silent_since = self._clock()
