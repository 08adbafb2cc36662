"""A sandbox with the chart installed, one AIApi under load, and a Prometheus."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from deploy_support.helm import CHART, helm, run
from e2e_support.cluster import Cluster
from e2e_support.kubectl import Kubectl, eventually
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

    def wait_phase(self, name: str, phase: str) -> None:
        """Wait until an AIApi that may go to zero is in a phase."""
        eventually(
            lambda: self.shop.status(name).get("activation", {}).get("phase") == phase,
            within=60,
            what=f"{name} is {phase}",
        )

    def put_to_zero(self, name: str) -> None:
        """Scale its Deployment to zero, which needs no idle time."""
        self.wait_phase(name, "Serving")
        self.shop.kubectl("scale", f"deployment/{name}", "--replicas=0")
        self.wait_phase(name, "Asleep")

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
        shop.apply("sleepy", app="hello:app", replicas={"min": 0, "max": 2})
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


def _targets(release: Release) -> list[str]:
    """The port that each pod names in its annotations, as a Prometheus that discovers pods."""
    pods = release.operator.json("pods")["items"]
    return [
        f"{pod['status']['podIP']}:{pod['metadata']['annotations']['prometheus.io/port']}"
        for pod in pods
    ]


@pytest.fixture(scope="module")
def prometheus(
    release: Release, traffic: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder, targets = tmp_path_factory.mktemp("prometheus"), _targets(release)
    with scraping(folder, targets, rules=CHART / "files" / "rules.yaml") as running:
        yield running


@pytest.fixture(scope="module")
def cold_start(release: Release, prometheus: Prometheus) -> None:
    """An AIApi went to zero, and a request woke it."""
    release.shop.wait_ready("sleepy")
    release.put_to_zero("sleepy")
    counted = 'aiapi_activator_cold_start_seconds_count{name="sleepy"}'
    eventually(lambda: prometheus.has_data(counted), within=30, what="its activators are scraped")
    address = release.shop.service_address("sleepy")
    with urllib.request.urlopen(address, timeout=90) as answer:  # noqa: S310 - the sandbox
        assert answer.status == 200
