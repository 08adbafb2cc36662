"""A Service with one more EndpointSlice, as at zero pods."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

SLICE = "web-activator"


@asynccontextmanager
async def stand_in() -> AsyncIterator[tuple[str, int]]:
    """Answers each line in place of pods."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(b"stand-in\n")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


def endpoint_slice(owner: dict[str, Any], address: tuple[str, int], **conditions: bool) -> Any:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": SLICE,
            "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "somebody-else",
            },
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                }
            ],
        },
        "addressType": "IPv4",
        "ports": [{"port": address[1], "protocol": "TCP"}],
        "endpoints": [{"addresses": [address[0]], "conditions": conditions}],
    }


async def answer(service: tuple[str, int]) -> bytes | None:
    """What a new connection gets; None if it is refused."""
    try:
        reader, writer = await asyncio.open_connection(*service)
    except ConnectionError:
        return None
    try:
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(5):
            return (await reader.readline()).strip()
    except ConnectionError:
        return None
    finally:
        writer.close()


async def test_a_slice_of_another_manager_is_used_until_it_is_gone(
    kubectl: Any, make_web: Any, wait_for: Any
) -> None:
    deployment, service = make_web(0)
    await kubectl.apply(deployment, service)
    await kubectl("create", "configmap", "owner")
    owner = await kubectl.get("configmap", "owner")
    address = ((await kubectl.get("service", "web"))["spec"]["clusterIP"], 8080)
    assert await answer(address) is None

    async def by_stand_in() -> bool:
        return await answer(address) == b"stand-in"

    async def by_pods() -> bool:
        return {await answer(address) for _ in range(12)} == {b"HTTP/1.1 200 X"}

    async def refused() -> bool:
        return await answer(address) is None

    async with stand_in() as backend:
        await kubectl.apply(endpoint_slice(owner, backend, ready=False))
        table = await kubectl("get", "endpointslices")
        assert SLICE in table
        assert "ADDRESSTYPE" in table
        assert str(backend[1]) in table
        assert await answer(address) is None, "it is not ready"
        await kubectl.apply(endpoint_slice(owner, backend, ready=True))
        await wait_for(by_stand_in)

        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"first\n")
        assert await reader.readline() == b"stand-in\n"
        await kubectl("scale", "deployment/web", "--replicas=1")
        await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        answers = {await answer(address) for _ in range(60)}
        assert answers == {b"stand-in", b"HTTP/1.1 200 X"}

        await kubectl("delete", "configmap", "owner")
        await wait_for(by_pods, what="the garbage collection of the slice")
        assert SLICE not in await kubectl("get", "endpointslices")
        writer.write(b"second\n")
        assert await reader.readline() == b"stand-in\n", "an open connection stays"
        writer.close()
        await kubectl("scale", "deployment/web", "--replicas=0")
        await wait_for(refused)
