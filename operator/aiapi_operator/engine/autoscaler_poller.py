"""Looks for other autoscalers once a minute: a list of each kind, whatever the number of AIApis.

What could not be listed is remembered as not known, never as nobody: what was seen before stays.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from aiapi_operator.cluster.errors import ClusterError, Forbidden
from aiapi_operator.cluster.resources import Manifest, Resource
from aiapi_operator.engine.autoscalers import ForeignAutoscaler, read
from aiapi_operator.engine.cache import Key

EVERY = 60.0

_log = logging.getLogger(__name__)

Lister = Callable[[Resource], Awaitable[list[Manifest]]]


class AutoscalerPoller:
    """The other autoscalers as they were seen last."""

    def __init__(self, kinds: Sequence[Resource], lister: Lister) -> None:
        self._kinds = kinds
        self._lister = lister
        self._seen: dict[str, list[ForeignAutoscaler]] = {}
        self._refused: dict[str, str] = {}
        self._by_target: dict[Key, tuple[ForeignAutoscaler, ...]] = {}

    def targeting(self, key: Key) -> Sequence[ForeignAutoscaler]:
        """Those whose target is this AIApi or its Deployment."""
        return self._by_target.get(key, ())

    @property
    def list_error(self) -> str:
        """Why some could not be looked for; empty when all could."""
        if not self._refused:
            return ""
        said = "; ".join(self._refused.values())
        return (
            f"Other autoscalers cannot be looked for: {said}. Give the operator the right to list"
            " them, or make sure that none targets the Deployment."
        )

    async def run(self) -> NoReturn:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.poll_once()

    async def poll_once(self) -> None:
        """Look once."""
        for kind in self._kinds:
            await self._list(kind)
        found: dict[Key, list[ForeignAutoscaler]] = defaultdict(list)
        for autoscalers in self._seen.values():
            for autoscaler in autoscalers:
                found[autoscaler.target].append(autoscaler)
        self._by_target = {key: tuple(autoscalers) for key, autoscalers in found.items()}

    async def _list(self, kind: Resource) -> None:
        try:
            manifests = await self._lister(kind)
        except Forbidden as error:
            if kind.plural not in self._refused:
                _log.warning("may not list %s: %s", kind.plural, error.message)
            self._refused[kind.plural] = error.message
        except ClusterError as error:
            _log.warning("%s could not be listed: %s", kind.plural, error)
        else:
            self._refused.pop(kind.plural, None)
            self._seen[kind.plural] = [autoscaler for m in manifests if (autoscaler := read(m))]
