"""The operator's main path: Kopf, the real client, real pods and a Kubernetes API."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from engine_support.live import Cluster, eventually, operating

from aiapi_operator.cluster.connection import Connection, Request
from aiapi_operator.cluster.lease import DURATION, RENEW_DEADLINE
from aiapi_operator.cluster.resources import (
    AIAPIS,
    CHILDREN,
    DEPLOYMENTS,
    LEASES,
    NETWORK_POLICIES,
    SECRETS,
    SERVICES,
    Manifest,
    Resource,
)
from aiapi_operator.engine.aiapi_state import AIApiState
from aiapi_operator.engine.tick import Engine

SMALL: dict[str, Any] = {
    "image": "example/assistant",
    "app": "assistant.llm:app",
    "replicas": {"min": 1, "max": 3},
    "scaling": {"interval": "1s"},
}
NAMES = {"Secret": "-admin-token", "ServiceAccount": "-aiapi"}


def child(resource: Resource, name: str) -> tuple[Resource, str]:
    return resource, name + NAMES.get(resource.kind, "")


async def gone(cluster: Cluster, name: str) -> bool:
    left = [await cluster.get(*child(resource, name)) for resource in CHILDREN]
    return not any(left)


async def test_the_operator_waits_for_the_crd(
    cluster: Cluster, kubeconfig: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with operating(kubeconfig):

        async def is_waiting() -> bool:
            return "CustomResourceDefinition is not installed" in caplog.text

        await eventually(is_waiting, what="the operator waits for the CRD")
        await cluster.install_crd()
        await cluster.create("early", **SMALL)
        await cluster.ready("early")
    await cluster.delete(AIAPIS, "early")


async def test_an_aiapi_is_served_without_finalizers(cluster: Cluster, kubeconfig: Path) -> None:
    await cluster.install_crd()
    async with operating(kubeconfig):
        await cluster.create("a", **SMALL)
        await cluster.ready("a")
        for resource in CHILDREN:
            assert await cluster.get(*child(resource, "a")), resource.kind
        aiapi = await cluster.get(AIAPIS, "a")
        assert aiapi is not None
        assert "finalizers" not in aiapi["metadata"]
        assert "annotations" not in aiapi["metadata"]
        assert aiapi["status"]["workers"] == 1
        await cluster.delete(AIAPIS, "a")
        await eventually(lambda: gone(cluster, "a"), what="its children are deleted")


async def test_drift_is_restored_within_five_seconds(cluster: Cluster, kubeconfig: Path) -> None:
    await cluster.install_crd()
    async with operating(kubeconfig):
        await cluster.create("b", **SMALL)
        await cluster.ready("b")
        for resource in (SERVICES, NETWORK_POLICIES, SECRETS):
            before = await cluster.get(*child(resource, "b"))
            assert before is not None
            await cluster.delete(*child(resource, "b"))
            uid = before["metadata"]["uid"]
            await eventually(
                is_new(cluster, *child(resource, "b"), uid=uid),
                within=5,
                what=f"{resource.kind} is back",
            )
        port = {"name": "http", "port": 81, "targetPort": "http", "protocol": "TCP"}
        await cluster.patch(SERVICES, "b", {"spec": {"ports": [port]}})

        async def ports() -> bool:
            service = await cluster.get(SERVICES, "b")
            return service is not None and [p["port"] for p in service["spec"]["ports"]] == [80]

        await eventually(ports, within=5, what="the port is restored")
        await cluster.ready("b")
        await cluster.delete(AIAPIS, "b")


def is_new(cluster: Cluster, resource: Resource, name: str, *, uid: str) -> Callable[[], Any]:
    async def holds() -> bool:
        found = await cluster.get(resource, name)
        return found is not None and found["metadata"]["uid"] != uid

    return holds


async def test_changes_during_downtime_are_reconciled(cluster: Cluster, kubeconfig: Path) -> None:
    await cluster.install_crd()
    async with operating(kubeconfig):
        for name in ("kept", "deleted"):
            await cluster.create(name, **SMALL)
            await cluster.ready(name)
        settled = await cluster.get(DEPLOYMENTS, "kept")
    assert settled is not None
    await cluster.patch(AIAPIS, "kept", {"spec": {"replicas": {"min": 2}}})
    await cluster.delete(AIAPIS, "deleted")
    await eventually(
        lambda: gone(cluster, "deleted"), what="the children are deleted without the operator"
    )
    kept = await cluster.get(DEPLOYMENTS, "kept")
    assert kept is not None
    assert kept["spec"] == settled["spec"]
    async with operating(kubeconfig):

        async def grown() -> bool:
            aiapi = await cluster.get(AIAPIS, "kept") or {}
            return aiapi["status"].get("readyReplicas") == 2

        await eventually(grown, within=30, what="the change is carried out")
        assert await gone(cluster, "deleted")
    await cluster.delete(AIAPIS, "kept")


async def test_a_restart_neither_reads_nor_applies_children(
    cluster: Cluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.install_crd()
    async with operating(kubeconfig):
        await cluster.create("restarted", **SMALL)
        await cluster.ready("restarted")
    sent, ticks = [], []
    send, tick = Connection.send_raw, Engine.tick

    async def record(connection: Connection, request: Request) -> bytes:
        sent.append((request.method, request.path.rpartition("/namespaces/")[2]))
        return await send(connection, request)

    async def count(engine: Engine, state: AIApiState) -> None:
        await tick(engine, state)
        ticks.append(state.ref.name)

    monkeypatch.setattr(Connection, "send_raw", record)
    monkeypatch.setattr(Engine, "tick", count)
    async with operating(kubeconfig):

        async def has_ticked() -> bool:
            # A third one may come a minute later: the AIApi is idle.
            return len(ticks) >= 2

        await eventually(has_ticked, what="the AIApi is under control")
    monkeypatch.undo()
    about = [path for _, path in sent if "restarted" in path]
    assert set(about) <= {"default/aiapis/restarted/status"}
    assert not [path for method, path in sent if method == "PATCH" and path not in about]
    await cluster.delete(AIAPIS, "restarted")


async def test_a_broken_aiapi_does_not_delay_others(cluster: Cluster, kubeconfig: Path) -> None:
    await cluster.install_crd()
    async with operating(kubeconfig):
        await cluster.create("broken", image="registry.invalid/no:1", replicas={"min": 1, "max": 1})
        await cluster.create("fine", **SMALL)
        await cluster.ready("fine")

        async def is_reported() -> bool:
            return (await cluster.condition("broken", "Ready")).get("reason") == "ImagePullFailed"

        await eventually(is_reported, what="the pull failure is reported")
        for name in ("broken", "fine"):
            await cluster.delete(AIAPIS, name)


async def test_one_of_two_operators_acts_and_hands_over(cluster: Cluster, kubeconfig: Path) -> None:
    await cluster.install_crd()

    async def holder() -> str:
        lease: Manifest = await cluster.get(LEASES, "aiapi-operator") or {"spec": {}}
        return str(lease["spec"].get("holderIdentity", ""))

    async with operating(kubeconfig, leader_election=True, pod_name="two", pod_namespace="default"):
        await eventually(holder, what="a leader is elected")
        assert await holder() == "two"
    assert await holder() == ""


async def test_a_blocked_event_loop_keeps_the_lease(cluster: Cluster, kubeconfig: Path) -> None:
    """For 10 s, after which another operator could take it over."""
    await cluster.install_crd()

    async def lease() -> Manifest:
        found: Manifest = await cluster.get(LEASES, "aiapi-operator") or {"spec": {}}
        return found["spec"] if found["spec"].get("holderIdentity") == "one" else {}

    async with operating(kubeconfig, leader_election=True, pod_name="one", pod_namespace="default"):
        before = await eventually(lease, what="the operator leads")
        time.sleep(DURATION)  # noqa: ASYNC251 - blocks the operator's loop
        after = await lease()
        now = datetime.now(UTC)
    assert after["acquireTime"] == before["acquireTime"]
    assert (now - datetime.fromisoformat(after["renewTime"])).total_seconds() < RENEW_DEADLINE


async def test_the_process_serves_health_and_stops_on_sigterm(
    cluster: Cluster, kubeconfig: Path, unused_tcp_port: int
) -> None:
    await cluster.install_crd()
    await cluster.create("watched", **SMALL)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiapi_operator", "--kubeconfig", str(kubeconfig)),
        *("--host", "127.0.0.1", "--port", str(unused_tcp_port), "--no-leader-election"),
        stderr=asyncio.subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with aiohttp.ClientSession() as session:

        async def fetch(path: str) -> tuple[int, str]:
            try:
                async with session.get(url + path) as answer:
                    return answer.status, await answer.text()
            except aiohttp.ClientError:
                return 0, ""

        async def is_watching() -> bool:
            return (await fetch("/readyz"))[0] == 200

        await eventually(is_watching, what="the operator is ready")
        await cluster.ready("watched")
        assert await fetch("/healthz") == (200, "ok\n")
        _, metrics = await fetch("/metrics")
        assert 'aiapi_operator_need_workers{name="watched",namespace="default"} 1.0' in metrics
        before = await cluster.get(DEPLOYMENTS, "watched")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(8):
            _, output = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b"stopped" in output
    after = await cluster.get(DEPLOYMENTS, "watched")
    assert before is not None
    assert after is not None
    assert after["spec"] == before["spec"]
    secret = await cluster.get(SECRETS, "watched-admin-token")
    assert secret is not None
    assert secret["data"]["token"].encode() not in output
    await cluster.delete(AIAPIS, "watched")
