"""The kubelet when pods cannot have an address."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from aiapi_sandbox.events import ComponentEventRecorder
from aiapi_sandbox.kinds.resources import EVENTS, PODS
from aiapi_sandbox.node import kubelet as kubelet_module
from aiapi_sandbox.node.allocations import Allocations
from aiapi_sandbox.node.backoff import BackoffPolicy
from aiapi_sandbox.node.images import ImageStore
from aiapi_sandbox.node.kubelet import Kubelet
from aiapi_sandbox.node.pod import NodeServices
from aiapi_sandbox.node.pod_addresses import AddressPool
from aiapi_sandbox.storage.store import Store

NODE = "n"


class NoTokens:
    """Issues nothing; the pod mounts no token."""

    def issue(self, *_: Any) -> Any:
        raise AssertionError

    def revoke(self, *_: Any) -> None:
        raise AssertionError


def pod(port: int) -> dict[str, Any]:
    container = {"name": "c", "image": "none/such:1", "ports": [{"containerPort": port}]}
    spec = {"nodeName": NODE, "automountServiceAccountToken": False, "containers": [container]}
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}


async def test_a_pod_waits_for_a_port_that_another_process_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubelet_module, "SANDBOX_RETRY", 0.05)
    store = Store()
    services = NodeServices(
        store=store,
        events=ComponentEventRecorder(store, "kubelet"),
        images=ImageStore(),
        addresses=AddressPool(),
        folder=tmp_path,
        host_ip="127.0.0.1",
        allocatable={"cpu": "1"},
        allocations=Allocations({"cpu": "1", "memory": "1Gi"}),
        backoff=BackoffPolicy(),
        issuer=NoTokens(),
    )
    kubelet = Kubelet(NODE, services)
    running = asyncio.create_task(kubelet.run())
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        store.create(PODS, pod(port))
        async with asyncio.timeout(10):
            while not (found := store.list(EVENTS)):  # noqa: ASYNC110 - polls the store
                await asyncio.sleep(0.01)
    assert found[0]["reason"] == "FailedCreatePodSandBox"
    assert f"(ports: {port})" in found[0]["message"]
    async with asyncio.timeout(10):
        while "podIP" not in store.peek(PODS, "default", "p")["status"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await kubelet.stop(1.0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
