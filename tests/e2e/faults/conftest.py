"""The fault suite: one scenario a file, the same ones on the sandbox and on a real cluster.

    make test-faults                            # all of them, on a sandbox of their own
    make test-faults KUBECONFIG_PATH=... IMAGE=...

Operator and pods have a fault proxy beside them (tests/e2e_support/fault_proxy.py), and one AIApi
serves steady load throughout. What holds in every scenario is in tests/e2e_support/fault.py. Each
file has a ``ROW``, from which docs/failure-modes.md is generated.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from e2e_support import fault_fleet, fault_record
from e2e_support.cluster import Cluster, own_namespace
from e2e_support.fault import Steady
from e2e_support.faulty_operator import FaultyOperator
from e2e_support.kubectl import Kubectl
from e2e_support.kubectl_proxy import api_reader
from e2e_support.sandbox import given_or_sandbox

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what only ``make test-faults`` runs, and keep all on one sandbox."""
    for item in items:
        if item.path.parent != HERE:
            continue
        if not item.module.ROW.is_short:  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.long_fault)


@pytest.fixture(scope="session")
def is_local(request: pytest.FixtureRequest) -> bool:
    return not request.config.getoption("--kubeconfig")


@pytest.fixture(scope="session")
def fault_kubeconfig(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A sandbox without other tests, or the given cluster."""
    folder = tmp_path_factory.mktemp("faults")
    with given_or_sandbox(request.config, folder) as path:
        yield path


@pytest.fixture(scope="session")
def fault_operator(
    request: pytest.FixtureRequest, fault_kubeconfig: Path, is_local: bool
) -> Iterator[FaultyOperator]:
    installed = FaultyOperator(
        kubectl=Kubectl(kubeconfig=fault_kubeconfig, namespace="aiapi-system"),
        image=request.config.getoption("--operator-image"),
        root=ROOT,
        proxy_image=request.config.getoption("--image"),
        is_local=is_local,
    )
    try:
        installed.install()
        yield installed
    finally:
        installed.uninstall()


@pytest.fixture
def operator(fault_operator: FaultyOperator) -> Iterator[FaultyOperator]:
    """The operator without a fault: before the test, and after it."""
    fault_operator.heal()
    yield fault_operator
    fault_operator.heal()


@pytest.fixture(scope="session")
def fault_namespaces(
    request: pytest.FixtureRequest, fault_kubeconfig: Path
) -> Iterator[fault_fleet.Namespaces]:
    image = request.config.getoption("--image")
    with api_reader(fault_kubeconfig) as read, ExitStack() as stack:
        yield fault_fleet.Namespaces(
            kubeconfig=fault_kubeconfig, image=image, stack=stack, read=read
        )


@pytest.fixture(scope="session")
def shared(fault_namespaces: fault_fleet.Namespaces, is_local: bool) -> fault_fleet.Shared:
    return fault_fleet.Shared(fault_namespaces, is_local=is_local)


@pytest.fixture
def steady(
    request: pytest.FixtureRequest, shared: fault_fleet.Shared, operator: FaultyOperator
) -> Iterator[Steady]:
    """The AIApi under load that scenarios share; a new one after a scenario that failed."""
    found = shared.steady()
    yield found
    if found.outcome is None:
        shared.discard()
        return
    fault_record.note(request.path.stem, found.outcome)
    found.outcome = None


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, fault_kubeconfig: Path, operator: FaultyOperator
) -> Iterator[Cluster]:
    """A namespace for one scenario."""
    with own_namespace(fault_kubeconfig, request.config.getoption("--image")) as cluster:
        yield cluster
