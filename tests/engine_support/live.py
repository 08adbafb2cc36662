"""The operator in this process, with Kopf, and a client of its cluster."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aiapi_operator.__main__ import run
from aiapi_operator.cluster.apply import apply, get, list_labelled
from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.resources import AIAPIS, PODS, Manifest, Resource
from aiapi_operator.process.settings import Settings

ROOT = Path(__file__).parents[2]
_CRD = ROOT / "crds" / "aiapis.aiapi.dev.yaml"
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"
)


async def eventually(
    holds: Callable[[], Awaitable[Any]], *, within: float = 15.0, what: str
) -> Any:
    """Wait until ``holds`` returns a true value, and return it."""
    try:
        async with asyncio.timeout(within):
            while not (found := await holds()):  # noqa: ASYNC110 - polled over HTTP
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {what}") from None
    return found


@dataclass
class Cluster:
    """The sandbox, through the operator's client with another field manager."""

    connection: Connection
    namespace: str = "default"

    async def install_crd(self) -> None:
        path = f"{CRDS.collection(None)}/aiapis.aiapi.dev"
        query = {"fieldManager": "test", "force": "true"}
        body = yaml.safe_load(_CRD.read_text())
        await self.connection.send(
            Request(
                "PATCH", path, query=query, body=body, content_type="application/apply-patch+yaml"
            )
        )

    async def create(self, name: str, **spec: Any) -> None:
        metadata = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": AIAPIS.api_version, "kind": "AIApi", "metadata": metadata}
        path = AIAPIS.collection(self.namespace)
        await self.connection.send(Request("POST", path, body={**body, "spec": spec}))

    async def patch(self, resource: Resource, name: str, part: Manifest) -> None:
        path = resource.path(self.namespace, name)
        kind = "application/merge-patch+json"
        await self.connection.send(Request("PATCH", path, body=part, content_type=kind))

    async def delete(self, resource: Resource, name: str) -> None:
        await self.connection.send(Request("DELETE", resource.path(self.namespace, name)))

    async def get(self, resource: Resource, name: str) -> Manifest | None:
        return await get(self.connection, resource, self.namespace, name)

    async def apply(self, manifest: Manifest) -> Manifest:
        return await apply(self.connection, manifest)

    async def pods(self, name: str) -> list[Manifest]:
        selector = f"aiapi.dev/name={name}"
        return await list_labelled(self.connection, PODS, self.namespace, selector)

    async def condition(self, name: str, kind: str) -> dict[str, Any]:
        aiapi = await self.get(AIAPIS, name) or {}
        conditions = aiapi.get("status", {}).get("conditions", ())
        return next((c for c in conditions if c["type"] == kind), {})

    async def ready(self, name: str) -> None:
        async def holds() -> bool:
            return (await self.condition(name, "Ready")).get("status") == "True"

        await eventually(holds, within=30, what=f"{name} is ready")


@asynccontextmanager
async def operating(kubeconfig: Path, **changes: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run the operator for the block. It must then stop within seconds."""
    settings = Settings(
        kubeconfig=kubeconfig, host="127.0.0.1", port=0, **{"leader_election": False, **changes}
    )
    stop = asyncio.Event()
    task = asyncio.create_task(run(settings, stop))
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task
