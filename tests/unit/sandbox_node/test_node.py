"""Parts of the kubelet: back-off, images, pod phase, QoS class and log selection."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aiapi_sandbox.kinds.pod_resources import pod_requests, qos_class
from aiapi_sandbox.node.backoff import Backoff, BackoffPolicy
from aiapi_sandbox.node.container_status import ContainerStatus, waiting
from aiapi_sandbox.node.images import (
    SERVICE_IMAGE,
    ImageStore,
    InvalidImageNameError,
    repository,
)
from aiapi_sandbox.node.logs import LogOptions, select_lines
from aiapi_sandbox.node.pod_status import phase


def test_back_off_doubles_to_its_maximum_and_resets_after_a_long_run() -> None:
    backoff = Backoff(policy=BackoffPolicy(initial=1, maximum=5, reset_after=60))
    assert [backoff.next_delay(ran_for=0) for _ in range(6)] == [0, 1, 2, 4, 5, 5]
    assert [backoff.next_delay(ran_for=61), backoff.next_delay(ran_for=1)] == [0, 1]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("a/b:1", "a/b"),
        ("a/b", "a/b"),
        ("host:5000/a", "host:5000/a"),
        ("host:5000/a:1", "host:5000/a"),
        ("a/b@sha256:00", "a/b"),
    ],
)
def test_the_repository_of_a_reference(reference: str, name: str) -> None:
    assert repository(reference) == name


async def test_unknown_images_are_not_found(tmp_path: Path) -> None:
    catalogue = ImageStore({"acme/app:1": tmp_path})
    service = await catalogue.find(f"{SERVICE_IMAGE}:0.1.0")
    added = await catalogue.find("acme/app:1")
    assert service is not None
    assert service.entrypoint == ("aiapi-serve",)
    assert added is not None
    assert added.env["PYTHONPATH"] == str(tmp_path)
    assert await catalogue.find("acme/app:2") is None
    with pytest.raises(InvalidImageNameError, match="must be lowercase"):
        await catalogue.find("Acme/app")


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code}}


def record(state: dict[str, Any], last: dict[str, Any] | None = None) -> ContainerStatus:
    return ContainerStatus(name="c", image="i", state=state, last_state=last or {})


RUNNING: dict[str, Any] = {"running": {}}


@pytest.mark.parametrize(
    ("policy", "init", "main", "expected"),
    [
        ("Always", [], [record(waiting("ContainerCreating"))], "Pending"),
        ("Always", [], [record(RUNNING)], "Running"),
        ("Always", [], [record(waiting("CrashLoopBackOff"), ended(1))], "Running"),
        ("Always", [], [record(ended(0))], "Running"),
        ("Never", [], [record(ended(0)), record(ended(0))], "Succeeded"),
        ("Never", [], [record(ended(0)), record(ended(1))], "Failed"),
        ("OnFailure", [], [record(ended(1))], "Running"),
        ("Never", [record(ended(1))], [record(waiting("PodInitializing"))], "Failed"),
        ("Always", [record(RUNNING)], [record(waiting("PodInitializing"))], "Pending"),
    ],
)
def test_phase(
    policy: str, init: list[ContainerStatus], main: list[ContainerStatus], expected: str
) -> None:
    assert phase({"restartPolicy": policy}, init, main) == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: dict[str, Any], expected: str) -> None:
    assert qos_class({"containers": [{"resources": resources}]}) == expected


def test_requests_are_the_sum_or_the_largest_init_container() -> None:
    def container(cpu: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}}

    spec = {
        "containers": [container("100m"), container("200m")],
        "initContainers": [container("1")],
    }
    assert pod_requests({"spec": spec})["cpu"] == 1


def test_log_lines_are_selected_by_time_and_count() -> None:
    content = b"".join(
        b"2026-01-01T00:00:0%d.000000000Z line %d\n" % (number, number) for number in range(5)
    )

    def lines(**query: Any) -> bytes:
        return b"".join(select_lines(content, LogOptions(**query)))

    assert lines(tail_lines=1) == b"line 4\n"
    assert lines(tail_lines=0) == b""
    assert lines(since=datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)) == b"line 3\nline 4\n"
    assert lines(tail_lines=1, timestamps=True) == b"2026-01-01T00:00:04.000000000Z line 4\n"
