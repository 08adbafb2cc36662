"""Lists other autoscalers once a minute: one list per kind, however many AIApis there are.

When a kind cannot be listed, the last result stays in effect.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NoReturn

from aiapi_operator.cluster.errors import ClusterError, Forbidden
from aiapi_operator.cluster.resources import Manifest, Resource
from aiapi_operator.engine.autoscalers import ForeignAutoscaler, read
from aiapi_operator.engine.cache import Key

INTERVAL = 60.0

_log = logging.getLogger(__name__)

Lister = Callable[[Resource], Awaitable[list[Manifest]]]


class AutoscalerPoller:
    """The other autoscalers at the last poll."""

    def __init__(self, kinds: Sequence[Resource], lister: Lister) -> None:
        self._kinds = kinds
        self._lister = lister
        self._found: dict[str, list[ForeignAutoscaler]] = {}
        self._forbidden: dict[str, str] = {}
        self._by_target: dict[Key, tuple[ForeignAutoscaler, ...]] = {}
        self.changed: Callable[[Collection[Key]], None] = lambda _keys: None
        """Called with the targets whose autoscalers are others than at the poll before."""

    def targeting(self, key: Key) -> Sequence[ForeignAutoscaler]:
        """Those that target this AIApi or its Deployment."""
        return self._by_target.get(key, ())

    @property
    def list_error(self) -> str:
        """Why some kinds cannot be listed; empty when all can."""
        if not self._forbidden:
            return ""
        errors = "; ".join(self._forbidden.values())
        return (
            f"Other autoscalers cannot be listed: {errors}. Grant the operator the list verb, or"
            " make sure that no autoscaler targets the Deployment."
        )

    async def run(self) -> NoReturn:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.poll_once()

    async def poll_once(self) -> None:
        """List every kind once."""
        for kind in self._kinds:
            await self._list(kind)
        by_target: dict[Key, list[ForeignAutoscaler]] = defaultdict(list)
        for autoscalers in self._found.values():
            for autoscaler in autoscalers:
                by_target[autoscaler.target].append(autoscaler)
        before, self._by_target = self._by_target, {k: tuple(v) for k, v in by_target.items()}
        differ = {
            key for key in (*before, *by_target) if before.get(key, ()) != self.targeting(key)
        }
        if differ:
            self.changed(differ)

    async def _list(self, kind: Resource) -> None:
        try:
            manifests = await self._lister(kind)
        except Forbidden as error:
            if kind.plural not in self._forbidden:
                _log.warning("listing %s is forbidden: %s", kind.plural, error.message)
            self._forbidden[kind.plural] = error.message
        except ClusterError as error:
            _log.warning("listing %s failed: %s", kind.plural, error)
        else:
            self._forbidden.pop(kind.plural, None)
            self._found[kind.plural] = [found for m in manifests if (found := read(m))]
