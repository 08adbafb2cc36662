"""A CustomResourceDefinition that was installed before the chart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy_support.helm import CHART, ROOT, helm, run
from e2e_support.kubectl import Kubectl
from e2e_support.sandbox import running_sandbox

RELEASE = "meta.helm.sh/release-name"


class Installation:
    """Helm and kubectl on one sandbox. No operator runs: the tests look at the objects."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self.kubectl = Kubectl(kubeconfig=kubeconfig, namespace="ops")

    def helm(self, *args: str) -> str:
        done = run(*args, "--namespace", "ops", kubeconfig=self._kubeconfig)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def install(self, *args: str) -> str:
        options = ("--create-namespace", "--set=replicas=0", *args)
        return self.helm("upgrade", "--install", "aiapi", str(CHART), *options)

    def crd(self) -> dict[str, Any]:
        return self.kubectl.json("crd", "aiapis.aiapi.dev")

    def owner(self) -> str | None:
        return (self.crd()["metadata"].get("annotations") or {}).get(RELEASE)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    helm()
    folder = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(folder, images=[f"example/assistant={ROOT / 'examples'}"]) as kubeconfig:
        yield Installation(kubeconfig)


@pytest.fixture(params=[(), ("--server-side",)], ids=["client-side", "server-side"])
def applied(installation: Installation, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """The CustomResourceDefinition, applied with kubectl."""
    installation.kubectl("apply", *request.param, "-f", str(ROOT / "crds"))
    yield installation
    installation.helm("uninstall", "aiapi", "--ignore-not-found")
    installation.kubectl("delete", "crd", "aiapis.aiapi.dev", "--ignore-not-found")


def test_the_chart_installs_and_leaves_it_as_it_is(applied: Installation) -> None:
    before = applied.crd()["metadata"]["uid"]
    notes = applied.install()
    assert "The CustomResourceDefinition was not installed by this release" in notes
    assert "--set crds.takeOwnership=true --take-ownership" in notes
    assert applied.owner() is None
    assert "was not installed by this release" in applied.install()
    applied.helm("uninstall", "aiapi")
    assert applied.crd()["metadata"]["uid"] == before


def test_the_chart_takes_it_over_on_request(applied: Installation) -> None:
    applied.install()
    taken = ("--set=crds.takeOwnership=true", "--take-ownership")
    assert "Uninstalling keeps the CustomResourceDefinition" in applied.install(*taken)
    assert applied.owner() == "aiapi"
    applied.install()
    assert applied.owner() == "aiapi", "an upgrade without the value goes on managing it"


def test_a_new_cluster_gets_it_from_the_chart(installation: Installation) -> None:
    assert "Uninstalling keeps the CustomResourceDefinition" in installation.install()
    assert installation.owner() == "aiapi"
    installation.install()
    assert installation.owner() == "aiapi"
    installation.helm("uninstall", "aiapi")
    assert installation.owner() == "aiapi", "kept"
