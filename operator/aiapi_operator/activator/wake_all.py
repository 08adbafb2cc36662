"""``python -m aiapi_operator.activator.wake_all``: start the pods of all AIApis at zero.

The chart runs it before it is uninstalled. Without operator and activators nobody would wake an
AIApi, and its Service would lead to addresses that are gone. The operator is stopped first, so that
it puts no AIApi back to zero. A Service leads to the activators until one of its pods is ready.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from aiapi_operator.cluster.apply import list_labelled
from aiapi_operator.cluster.connection import Connection, NotConfiguredError, Request
from aiapi_operator.cluster.errors import ClusterError, Conflict, NotFound
from aiapi_operator.cluster.resources import (
    AIAPIS,
    INSTANCE_LABEL,
    MANAGED_BY_SELECTOR,
    PODS,
    Manifest,
    Resource,
)
from aiapi_operator.cluster.scale import raise_scale, scale

ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
POLL = 1.0
"""Seconds between two looks at the pods."""
_OPERATOR_PODS = "app.kubernetes.io/name=aiapi-operator"
_OPERATOR_STOPS_WITHIN = 45.0
_AT_A_TIME = 16
_PHASES = frozenset({"Leaving", "Asleep", "Waking"})

Key = tuple[str, str]
"""Namespace and name of an AIApi."""
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sleeper:
    """An AIApi whose Service leads to the activators."""

    key: Key
    phase: str
    replicas: int
    """Pods to start."""

    @property
    def name(self) -> str:
        """As people write it."""
        return "/".join(self.key)


def sleeper_of(aiapi: Manifest) -> Sleeper | None:
    """Read an AIApi; None if its Service leads to its pods only."""
    activation = (aiapi.get("status") or {}).get("activation") or {}
    if (phase := activation.get("phase")) not in _PHASES:
        return None
    metadata = aiapi["metadata"]
    replicas = max(1, activation.get("wakeReplicas") or 1)
    return Sleeper((metadata["namespace"], metadata["name"]), phase, replicas)


def ready_keys(pods: Iterable[Manifest]) -> set[Key]:
    """The AIApis that have a ready pod."""
    found = set()
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status") or {}
        conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
        if conditions.get("Ready") == "True" and not metadata.get("deletionTimestamp"):
            name = (metadata.get("labels") or {}).get(INSTANCE_LABEL, "")
            found.add((metadata["namespace"], name))
    return found


class WakeAll:
    """Wakes the AIApis of some namespaces, or of all."""

    def __init__(
        self, connection: Connection, namespaces: Sequence[str], within: float, report: Report
    ) -> None:
        self._connection = connection
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._end = time.monotonic() + within
        self._report = report

    async def stop_operator(self, namespace: str, name: str) -> None:
        """Scale the operator to zero, and wait until its pods are gone."""
        try:
            await scale(self._connection, namespace, name, 0)
        except NotFound:
            return
        self._report(f"stopped the operator {namespace}/{name}")
        end = time.monotonic() + _OPERATOR_STOPS_WITHIN
        while await list_labelled(self._connection, PODS, namespace, _OPERATOR_PODS):
            if time.monotonic() > end:
                self._report("pods of the operator are still there")
                return
            await asyncio.sleep(POLL)

    async def run(self) -> list[Sleeper]:
        """Wake all, and return those without a ready pod in the end."""
        found = [sleeper_of(each) for each in await self._list(AIAPIS)]
        waiting = {each.key: each for each in found if each is not None}
        if not waiting:
            self._report("no AIApi is at zero")
        at_a_time = asyncio.Semaphore(_AT_A_TIME)
        await asyncio.gather(*(self._start(each, at_a_time) for each in waiting.values()))
        while waiting:
            ready = ready_keys(await self._list(PODS, labelSelector=MANAGED_BY_SELECTOR))
            for key in ready & waiting.keys():
                await self._leave_to_pods(waiting.pop(key))
            if time.monotonic() > self._end:
                break
            await asyncio.sleep(POLL if waiting else 0)
        return list(waiting.values())

    async def _list(self, resource: Resource, **query: str) -> list[Manifest]:
        items: list[Manifest] = []
        for namespace in self._namespaces:
            request = Request("GET", resource.collection(namespace), query=query)
            items += (await self._connection.send(request))["items"]
        return items

    async def _start(self, sleeper: Sleeper, at_a_time: asyncio.Semaphore) -> None:
        try:
            async with at_a_time:
                await self._raise_scale(sleeper)
        except ClusterError as error:
            self._report(f"{sleeper.name} ({sleeper.phase}): cannot be scaled: {error}")
            return
        self._report(f"{sleeper.name} ({sleeper.phase}): at least {sleeper.replicas} pods wanted")

    async def _raise_scale(self, sleeper: Sleeper) -> None:
        while True:
            try:
                await raise_scale(self._connection, *sleeper.key, sleeper.replicas)
            except Conflict:
                if time.monotonic() > self._end:
                    raise
            else:
                return

    async def _leave_to_pods(self, sleeper: Sleeper) -> None:
        namespace, name = sleeper.key
        path = ENDPOINT_SLICES.path(namespace, f"{name}-activator")
        try:
            await self._connection.send(Request("DELETE", path))
        except NotFound:
            pass
        except ClusterError as error:
            self._report(f"{sleeper.name}: the slice of the activators remains: {error}")
            return
        self._report(f"{sleeper.name}: a pod is ready; its Service leads to pods only")


async def wake_all(
    connection: Connection,
    *,
    namespaces: Sequence[str] = (),
    operator: str = "",
    within: float = 240.0,
    report: Report = click.echo,
) -> list[Sleeper]:
    """Wake all AIApis at zero, and return those without a ready pod in the end."""
    waking = WakeAll(connection, namespaces, within, report)
    if operator:
        namespace, _, name = operator.partition("/")
        await waking.stop_operator(namespace, name)
    late = await waking.run()
    for each in late:
        report(f"{each.name}: no pod is ready after {within:g} s; its pods keep starting")
    return late


async def _run(kubeconfig: Path | None, options: dict[str, Any]) -> None:
    connection = await Connection.open(kubeconfig)
    try:
        await wake_all(connection, **options)
    finally:
        await connection.close()


@click.command()
@click.option("--kubeconfig", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--namespace", "namespaces", multiple=True, help="Only this namespace; repeatable.")
@click.option("--operator", default="", help="NAMESPACE/NAME of the operator, to stop it first.")
@click.option("--timeout", "within", type=click.FloatRange(min=1), default=240, show_default=True)
def main(kubeconfig: Path | None, **options: Any) -> None:
    """Start the pods of all AIApis at zero, and lead their Services to them."""
    try:
        asyncio.run(_run(kubeconfig, options))
    except (ClusterError, NotConfiguredError) as error:
        click.echo(f"failed: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
