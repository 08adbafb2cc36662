"""A sandbox with the chart installed, one AIApi under load, and a Prometheus."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from deploy_support.helm import CHART, helm, run
from e2e_support.cluster import Cluster
from e2e_support.kubectl import Kubectl
from e2e_support.sandbox import running_sandbox
from platform_support.prometheus import Prometheus, scraping

IMAGE = "example/hello"
APP = Path(__file__).parent / "app"
NAMESPACE = "ops"


@dataclass(frozen=True, kw_only=True)
class Release:
    """The installed chart."""

    kubeconfig: Path
    operator: Kubectl
    shop: Cluster

    def install(self) -> None:
        self.helm("install", "aiapi", str(CHART), "--create-namespace", "--wait", "--timeout=120s")

    def helm(self, *args: str) -> str:
        done = run(*args, "--namespace", NAMESPACE, kubeconfig=self.kubeconfig)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    helm()
    folder = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(folder, images=[f"{IMAGE}={APP}"]) as kubeconfig:
        shop = Cluster(kubectl=Kubectl(kubeconfig=kubeconfig, namespace="shop"), image=IMAGE)
        operator = Kubectl(kubeconfig=kubeconfig, namespace=NAMESPACE)
        made = Release(kubeconfig=kubeconfig, operator=operator, shop=shop)
        made.install()
        shop.create_namespace()
        shop.apply("hello", app="hello:app", scaling={"interval": "500ms"})
        shop.wait_ready("hello")
        _make_old(made)
        yield made


def _make_old(release: Release) -> None:
    """The totals of an hour in the status: savings are reported from then on."""
    totals = {
        "observedSeconds": 7200,
        "workerSeconds": 28_800,
        "podSeconds": 14_400,
        "peakWorkers": 4,
        "peakReplicas": 2,
    }
    release.helm("uninstall", "aiapi", "--wait", "--timeout=120s")
    status = json.dumps({"status": {"savings": totals}})
    release.shop.kubectl(
        "patch", "aiapi", "hello", "--subresource=status", "--type=merge", "-p", status
    )
    release.install()


async def _load(url: str, stop: threading.Event) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:

        async def client() -> None:
            while not stop.is_set():
                try:
                    async with session.get(url) as answer:
                        await answer.read()
                except (aiohttp.ClientError, TimeoutError):
                    await asyncio.sleep(0.1)  # the machine may be busy; the fleet has several pods
                await asyncio.sleep(0.02)

        await asyncio.gather(*(client() for _ in range(4)))


@pytest.fixture(scope="module")
def traffic(release: Release) -> Iterator[None]:
    """Load through the Service until the tests of the module end."""
    url, stop = release.shop.service_address("hello"), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_load(url, stop)))
    thread.start()
    yield
    stop.set()
    thread.join(timeout=30)


@pytest.fixture(scope="module")
def prometheus(
    release: Release, traffic: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    pods = release.operator.json("pods", "-l", "app.kubernetes.io/name=aiapi-operator")["items"]
    targets = [f"{pod['status']['podIP']}:8080" for pod in pods]
    folder = tmp_path_factory.mktemp("prometheus")
    with scraping(folder, targets, rules=CHART / "files" / "rules.yaml") as running:
        yield running
