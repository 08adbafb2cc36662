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
from aiapi_operator.engine.inventory import Key
from aiapi_operator.engine.rivals import Rival, read

EVERY = 60.0

_log = logging.getLogger(__name__)

Lister = Callable[[Resource], Awaitable[list[Manifest]]]


class RivalLookout:
    """The other autoscalers as they were seen last."""

    def __init__(self, kinds: Sequence[Resource], lister: Lister) -> None:
        self._kinds = kinds
        self._lister = lister
        self._seen: dict[str, list[Rival]] = {}
        self._refused: dict[str, str] = {}
        self._by_target: dict[Key, tuple[Rival, ...]] = {}

    def of(self, key: Key) -> Sequence[Rival]:
        """Those whose target is this AIApi or its Deployment."""
        return self._by_target.get(key, ())

    @property
    def blind(self) -> str:
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
            await self.look()

    async def look(self) -> None:
        """Look once."""
        for kind in self._kinds:
            await self._look_for(kind)
        found: dict[Key, list[Rival]] = defaultdict(list)
        for rivals in self._seen.values():
            for rival in rivals:
                found[rival.target].append(rival)
        self._by_target = {key: tuple(rivals) for key, rivals in found.items()}

    async def _look_for(self, kind: Resource) -> None:
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
            self._seen[kind.plural] = [rival for m in manifests if (rival := read(m))]
