"""Sidecars count as initialized once started, and their requests add to those of the pod."""

from decimal import Decimal

from aiapi_sandbox.kinds.pod_resources import pod_requests
from aiapi_sandbox.node.container_status import ContainerStatus


def container(cpu: str, **fields: str) -> dict[str, object]:
    return {"resources": {"requests": {"cpu": cpu}}, **fields}


def test_a_sidecar_is_initialized_when_it_has_started() -> None:
    status = ContainerStatus(name="tunnel", image="tunnel", is_sidecar=True)
    assert not status.is_initialized
    status.started = True
    assert status.is_initialized


def test_requests_of_sidecars_add_up() -> None:
    sidecar, last = container("2", restartPolicy="Always"), container("3")
    pod = {
        "spec": {"initContainers": [container("4"), sidecar, last], "containers": [container("1")]}
    }
    assert pod_requests(pod) == {"cpu": Decimal(5)}
