"""Three shards, each a process of its own, on a real API; one of them is killed."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from e2e_support.sandbox import running_sandbox
from engine_support.live import ROOT, Cluster, eventually

from aiapi_operator.cluster.connection import Connection
from aiapi_operator.cluster.resources import AIAPIS, DEPLOYMENTS, LEASES, Manifest, Resource
from aiapi_operator.engine.shards import DRAIN_LABEL, rendezvous
from aiapi_operator.manifests.labels import SHARD_LABEL

SHARDS, AIAPIS_COUNT = 3, 12
NAMES = [f"api-{number}" for number in range(AIAPIS_COUNT)]
SPEC: dict[str, Any] = {
    "image": "example/assistant",
    "app": "assistant.llm:app",
    "replicas": {"min": 1, "max": 2},
    "workers": {"cpu": "50m"},
    "scaling": {"interval": "1s"},
}
RUNNING = 3
"""AIApis whose pods run. The image of the others does not exist, which saves the machine's CPU."""

LAUNCH = """
import os
from kubernetes.aio.client import ApiClient
from aiapi_operator.__main__ import main
from aiapi_operator.engine import cache
cache._FRESH = 1.0  # what follows is no longer the start, where all objects were just listed
ApiClient.user_agent = property(lambda self: "", lambda self, _: self.set_default_header(
    "User-Agent", os.environ["AIAPI_OPERATOR_POD_NAME"]))
main()
"""
"""The operator, with a user agent by which the audit log tells the shards apart."""


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory, audit: Path) -> Iterator[Path]:
    image = f"example/assistant={ROOT / 'examples'}"
    folder = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(folder, images=[image], audit_log=audit) as path:
        yield path


@asynccontextmanager
async def shard(number: int, kubeconfig: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """One operator for the block."""
    log = kubeconfig.with_name(f"shard-{number}.log").open("a")
    settings = {
        "KUBECONFIG": kubeconfig,
        "HOST": "127.0.0.1",
        "PORT": 0,
        "SHARD": number,
        "SHARDS": SHARDS,
        "POD_NAME": f"shard-{number}",
        "POD_NAMESPACE": "default",
        "ADMIN_TLS": "false",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCH),
        env={**os.environ, **{f"AIAPI_OPERATOR_{key}": str(v) for key, v in settings.items()}},
        stdout=log,
        stderr=log,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(15):
            await process.wait()
        log.close()


async def owners(cluster: Cluster) -> dict[str, int | None]:
    """The shard that acts on each AIApi: its label, once its status names it, too."""
    found: dict[str, int | None] = {}
    for name in NAMES:
        aiapi = await cluster.get(AIAPIS, name) or {}
        labels = aiapi["metadata"].get("labels") or {}
        acting = (aiapi.get("status") or {}).get("shard")
        is_settled = str(acting) == labels.get(SHARD_LABEL) and DRAIN_LABEL not in labels
        found[name] = acting if is_settled else None
    return found


async def settled(cluster: Cluster, live: set[int], within: float) -> dict[str, int | None]:
    wanted = {name: rendezvous(("default", name), live) for name in NAMES}

    async def holds() -> dict[str, int | None] | None:
        found = await owners(cluster)
        return found if found == wanted else None

    what = f"the shards {sorted(live)} act on their AIApis"
    found: dict[str, int | None] = await eventually(holds, within=within, what=what)
    return found


async def sizes(cluster: Cluster) -> dict[str, Any]:
    """What must not change when an owner does."""
    found: dict[str, Any] = {}
    for name in NAMES:
        deployment = await cluster.get(DEPLOYMENTS, name) or {}
        found[name] = deployment["metadata"]["uid"], deployment["spec"]
    return found


def writers(audit: Path, resource: Resource, subresource: str = "") -> dict[str, list[str]]:
    """For each object: who wrote it, in order, each run of writes by one account once."""
    written: dict[str, list[str]] = {name: [] for name in NAMES}
    for line in audit.read_text().splitlines():
        event = json.loads(line)
        reference, user = event.get("objectRef") or {}, event["userAgent"]
        target = reference.get("resource"), reference.get("subresource", "")
        is_write = event["verb"] in ("create", "update", "patch")
        if target == (resource.plural, subresource) and is_write and user.startswith("shard-"):
            written.setdefault(reference["name"], []).append(user.rpartition("-")[2])
    return {name: [user for user, _ in groupby(users)] for name, users in written.items()}


async def test_a_killed_shard_is_replaced_and_no_aiapi_has_two_writers(
    kubeconfig: Path, audit: Path
) -> None:
    connection = await Connection.open(kubeconfig)
    cluster = Cluster(connection)
    try:
        await cluster.install_crd()
        for number, name in enumerate(NAMES):
            image = SPEC["image"] if number < RUNNING else "registry.invalid/no:1"
            await cluster.create(name, **{**SPEC, "image": image})
        async with AsyncExitStack() as stack:
            processes = [
                await stack.enter_async_context(shard(number, kubeconfig))
                for number in range(SHARDS)
            ]
            first = await settled(cluster, {0, 1, 2}, within=60)
            ring = await holder(cluster)
            before = await sizes(cluster)
            processes[ring].kill()  # the holder of the ring, which is the hardest to lose
            second = await settled(cluster, {0, 1, 2} - {ring}, within=15)
            kept = {name for name in NAMES if first[name] != ring}
            assert {name: second[name] for name in kept} == {name: first[name] for name in kept}
            assert await sizes(cluster) == before
            await stack.enter_async_context(shard(ring, kubeconfig))
            assert await settled(cluster, {0, 1, 2}, within=40) == first
            assert await sizes(cluster) == before
    finally:
        await connection.close()
    for subject in ((AIAPIS, "status"), (DEPLOYMENTS, "")):
        for name, users in writers(audit, *subject).items():
            moved = [str(first[name]), str(second[name]), str(first[name])]
            assert users == [user for user, _ in groupby(moved)], (subject, name)


async def holder(cluster: Cluster) -> int:
    """The shard that holds the ring."""
    lease: Manifest = await cluster.get(LEASES, "aiapi-operator") or {}
    return int(lease["spec"]["holderIdentity"].rpartition("-")[2])
