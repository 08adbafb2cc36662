"""The ready activators: pods in the operator's namespace, listed every two seconds.

While none is ready, nobody would hold a request, so no fleet may be at zero: a change of the ready
ones is reported at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NoReturn

from aiapi_operator.cluster.errors import ClusterError
from aiapi_operator.cluster.resources import Manifest
from aiapi_operator.engine.cache import Key
from aiapi_operator.observe.activators import ActivatorAnswer, ActivatorClient, ActivatorPod

INTERVAL = 2.0
SELECTOR = "app.kubernetes.io/component=activator"

_log = logging.getLogger(__name__)


class ActivatorPods:
    """The activators at the last list. A list that fails leaves them as they were."""

    def __init__(self, lister: Callable[[], Awaitable[list[Manifest]]]) -> None:
        self._lister = lister
        self.changed: Callable[[], None] = _nobody
        """Called when others are ready than before."""
        self.ready: Sequence[ActivatorPod] = ()

    async def run(self) -> NoReturn:
        """List until cancelled."""
        while True:
            await self.list_once()
            await asyncio.sleep(INTERVAL)

    async def list_once(self) -> None:
        """List once."""
        try:
            found = ready_activators(await self._lister())
        except ClusterError as error:
            _log.warning("listing the activators failed: %s", error)
            return
        if found != self.ready:
            _log.info("activators: %s", ", ".join(each.name for each in found) or "none is ready")
            self.ready = found
            self.changed()


def _nobody() -> None:
    """Nobody wants to know."""


class LiveActivators:
    """The engine's ``Activators`` in a cluster."""

    def __init__(self, pods: ActivatorPods, client: ActivatorClient, grace: float) -> None:
        self._pods = pods
        self._client = client
        self.grace = grace

    def ready(self) -> Sequence[ActivatorPod]:
        """The ready ones."""
        return self._pods.ready

    async def ask(self, key: Key) -> Mapping[ActivatorPod, ActivatorAnswer | None]:
        """What each ready one knows of an AIApi; None where it does not answer."""
        return await self._client.ask(self._pods.ready, key)

    async def answers(self, host: str, port: int) -> bool:
        """Whether an activator answers a marked probe that is sent to a Service."""
        return await self._client.answers(host, port)


def ready_activators(pods: Sequence[Manifest]) -> tuple[ActivatorPod, ...]:
    """The ready ones, by name."""
    return tuple(
        ActivatorPod(pod["metadata"]["name"], pod["status"]["podIP"])
        for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
        if _is_ready(pod)
    )


def _is_ready(pod: Manifest) -> bool:
    status = pod.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    is_ending = pod["metadata"].get("deletionTimestamp")
    return conditions.get("Ready") == "True" and bool(status.get("podIP")) and not is_ending
