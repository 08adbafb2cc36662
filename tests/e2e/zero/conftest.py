"""Scale to zero and back, under real load, with no request lost.

    make test-zero                              # all scenarios, on a sandbox of their own
    make test-zero KUBECONFIG_PATH=... IMAGE=...

The requests are sent by pods. What is marked ``long_zero`` runs in ``make test-zero`` only.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from e2e_support.activators import Activators
from e2e_support.cluster import own_namespace
from e2e_support.kubectl import Kubectl
from e2e_support.kubectl_proxy import ApiReader, api_reader
from e2e_support.operator import Operator
from e2e_support.sandbox import given_or_sandbox
from e2e_support.zero import GRACE, Zero

ROOT = Path(__file__).parents[3]
SERVICE_DELAY = ("--service-delay", "1")
"""The sandbox's nodes learn of endpoints as late as those of a cluster often do."""


@pytest.fixture(scope="session")
def zero_kubeconfig(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A sandbox without other tests, or the given cluster."""
    folder = tmp_path_factory.mktemp("zero")
    with given_or_sandbox(request.config, folder, options=SERVICE_DELAY) as path:
        yield path


@pytest.fixture(scope="session")
def read(zero_kubeconfig: Path) -> Iterator[ApiReader]:
    with api_reader(zero_kubeconfig) as found:
        yield found


@pytest.fixture(scope="session")
def operator(request: pytest.FixtureRequest, zero_kubeconfig: Path) -> Iterator[Operator]:
    """One operator that waits a short time for the nodes, and two activators."""
    installed = Operator(
        kubectl=Kubectl(kubeconfig=zero_kubeconfig, namespace="aiapi-system"),
        image=request.config.getoption("--operator-image"),
        root=ROOT,
        settings={"AIAPI_OPERATOR_ACTIVATOR_GRACE": f"{GRACE:g}"},
    )
    try:
        installed.install()
        yield installed
    finally:
        installed.uninstall()


@pytest.fixture(scope="session")
def all_activators(request: pytest.FixtureRequest, operator: Operator) -> Activators:
    is_local = not request.config.getoption("--kubeconfig")
    return Activators(operator, is_local=is_local)


@pytest.fixture
def activators(all_activators: Activators) -> Activators:
    """Two that are ready."""
    all_activators.scale(2)
    all_activators.wait_ready()
    return all_activators


@pytest.fixture
def create(
    request: pytest.FixtureRequest, zero_kubeconfig: Path, read: ApiReader, activators: Activators
) -> Iterator[Callable[[], Zero]]:
    """Creates AIApis, each in a namespace of its own."""
    image = request.config.getoption("--image")
    with ExitStack() as stack:

        def one() -> Zero:
            cluster = stack.enter_context(own_namespace(zero_kubeconfig, image))
            return Zero(cluster=cluster, read=read)

        yield one


@pytest.fixture
def zero(create: Callable[[], Zero]) -> Zero:
    """One AIApi, not deployed yet."""
    return create()
