"""One suite for the sandbox and for any cluster.

    pytest tests/e2e                                            # starts a sandbox
    pytest tests/e2e --kubeconfig PATH --image NAME [--unprepared-image NAME] \\
        [--operator-image NAME]

``--image`` has the example assistant (examples/assistant) on top of the service image;
``--unprepared-image`` has tests/image_support/shop, FastAPI and Uvicorn, and nothing of this
project; ``--operator-image`` has the operator. Everything is done with kubectl, and load is sent by
a pod, so nothing here depends on how the test machine reaches the cluster's network.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_support.cluster import Cluster, own_namespace
from e2e_support.kubectl import Kubectl
from e2e_support.operator import Operator
from e2e_support.sandbox import running_sandbox
from image_support import unprepared

ROOT = Path(__file__).parents[2]
UNPREPARED_IMAGE = "ghcr.io/acme/shop:7"


@pytest.fixture(scope="session")
def audit_log(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path | None:
    """The sandbox's audit log; None on a real cluster."""
    if request.config.getoption("--kubeconfig"):
        return None
    folder = request.config.getoption("--audit-logs") or tmp_path_factory.mktemp("audit")
    return folder / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.log"


@pytest.fixture(scope="session")
def kubeconfig(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    audit_log: Path | None,
) -> Iterator[Path]:
    given = request.config.getoption("--kubeconfig")
    if given:
        yield Path(given)
        return
    shop = unprepared.shop(tmp_path_factory.mktemp("shop"))
    unprepared_name = request.config.getoption("--unprepared-image") or UNPREPARED_IMAGE
    images = [
        f"{request.config.getoption('--image')}={ROOT / 'examples'}",
        f"{unprepared_name}={shop}",
    ]
    folder = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(folder, images=images, audit_log=audit_log) as path:
        yield path


@pytest.fixture(scope="session")
def operator(request: pytest.FixtureRequest, kubeconfig: Path) -> Iterator[Operator]:
    """The operator, installed from the repository's manifests and removed at the end."""
    installed = Operator(
        kubectl=Kubectl(kubeconfig=kubeconfig, namespace="aiapi-system"),
        image=request.config.getoption("--operator-image"),
        root=ROOT,
    )
    try:
        installed.install()
        yield installed
    finally:
        installed.uninstall()


@pytest.fixture
def unprepared_image(request: pytest.FixtureRequest) -> str:
    """The name of an image with the shop. Skips the test on a cluster without one."""
    given = request.config.getoption("--unprepared-image")
    if request.config.getoption("--kubeconfig") and not given:
        pytest.skip("no --unprepared-image is given")
    return str(given or UNPREPARED_IMAGE)


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, kubeconfig: Path, operator: Operator
) -> Iterator[Cluster]:
    """A namespace for one test that admits only restricted pods."""
    with own_namespace(kubeconfig, request.config.getoption("--image")) as cluster:
        yield cluster
