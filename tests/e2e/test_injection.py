"""Images that nobody prepared: they serve, are sized and are resized live, by either delivery."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually
from e2e_support.load import start_load
from e2e_support.operator import Operator

DELIVERIES = ("ImageVolume", "InitContainer")


@pytest.fixture(params=DELIVERIES)
def delivery(request: pytest.FixtureRequest, operator: Operator) -> Iterator[str]:
    """The delivery that the operator is set to."""
    operator.set_env(AIAPI_OPERATOR_RUNTIME_DELIVERY=request.param)
    yield request.param
    operator.set_env(AIAPI_OPERATOR_RUNTIME_DELIVERY="Auto")


def deploy_shop(cluster: Cluster, name: str, image: str, **spec: Any) -> None:
    """An AIApi of the shop; each request blocks the loop for 15 ms."""
    wanted = {
        "image": image,
        "app": "shop.main:app",
        "workers": {"min": 1, "max": 4, "cpu": "100m", "memory": "128Mi"},
        "replicas": {"min": 2, "max": 4},
        "scaling": {"scaleDown": {"workersAfter": "10s", "replicasAfter": "20s"}},
    }
    cluster.apply(name, **{**wanted, **spec})


def workers(cluster: Cluster, name: str) -> int:
    """The wanted workers in each pod."""
    return int(cluster.status(name).get("workers", 0))


def restarts(cluster: Cluster, name: str) -> int:
    statuses = [pod["status"]["containerStatuses"][0] for pod in cluster.pods(name)]
    return sum(status["restartCount"] for status in statuses)


def not_ready(cluster: Cluster, name: str, reason: str) -> dict[str, Any] | None:
    """The condition Ready once it has this reason."""
    found = cluster.condition(name, "Ready")
    return found if found.get("reason") == reason else None


def test_an_unprepared_image_is_resized_under_load_without_a_lost_request(
    cluster: Cluster, unprepared_image: str, delivery: str
) -> None:
    deploy_shop(cluster, "shop", unprepared_image)
    cluster.wait_ready("shop")
    (pod, *_) = cluster.pods("shop")
    assert bool(pod["spec"].get("initContainers")) is (delivery == "InitContainer")
    runtime = eventually(
        lambda: cluster.status("shop").get("runtime"), within=10, what="the runtime is reported"
    )
    served_by = (runtime["source"], runtime["loop"], runtime["http"])
    assert served_by == ("Injected", "uvloop", "httptools")
    load = start_load(cluster, service="shop", rate=120, seconds=25)
    eventually(lambda: workers(cluster, "shop") > 1, within=40, what="the pods get workers")
    sent = load.wait(within=60)
    assert sent.requests > 2000
    assert sent.failed == 0
    eventually(lambda: workers(cluster, "shop") == 1, within=90, what="the workers leave again")
    assert restarts(cluster, "shop") == 0


def test_a_blocking_call_is_reported_with_the_line_of_the_app(
    cluster: Cluster, unprepared_image: str
) -> None:
    deploy_shop(cluster, "shop", unprepared_image)
    cluster.wait_ready("shop")
    start_load(cluster, service="shop", rate=1, seconds=20, path="/block")
    cluster.wait_condition("shop", "EventLoopBlocked", within=40)
    eventually(
        lambda: "shop/main.py" in cluster.condition("shop", "EventLoopBlocked")["message"],
        within=75,  # messages are written with the numbers, once a minute
        what="the condition names the file",
    )


def test_an_upgrade_of_the_runtime_waits_for_a_restart(
    cluster: Cluster, unprepared_image: str, operator: Operator, audit_log: Path | None
) -> None:
    present = operator.env()["AIAPI_OPERATOR_RUNTIME_IMAGE"]
    deploy_shop(cluster, "shop", unprepared_image)
    cluster.wait_ready("shop")
    before = {pod["metadata"]["uid"] for pod in cluster.pods("shop")}
    operator.set_env(AIAPI_OPERATOR_RUNTIME_IMAGE="ghcr.io/aiapi-dev/runtime:9.9.9")
    try:
        cluster.kubectl(
            *("patch", "aiapi", "shop", "--type=merge", "-p"),
            json.dumps({"spec": {"replicas": {"max": 5}}}),
        )
        eventually(
            lambda: cluster.status("shop").get("observedGeneration") == 2,
            within=40,
            what="the upgraded operator has reconciled the AIApi",
        )
        assert {pod["metadata"]["uid"] for pod in cluster.pods("shop")} == before
        if audit_log is not None:  # only the sandbox has every version of the image
            cluster.kubectl("rollout", "restart", "deployment/shop")
            eventually(
                lambda: "runtime:9.9.9" in json.dumps(cluster.pods("shop")),
                within=40,
                what="the pods have the new runtime",
            )
    finally:
        operator.set_env(AIAPI_OPERATOR_RUNTIME_IMAGE=present)


def test_an_image_without_the_app_is_named(cluster: Cluster, unprepared_image: str) -> None:
    deploy_shop(cluster, "shop", unprepared_image, app="shoop.main:app")
    found = eventually(
        lambda: not_ready(cluster, "shop", "AppNotFound"), within=60, what="Ready names the cause"
    )
    assert "shoop" in found["message"]
    assert "spec.runtime.python" in found["message"]


def test_an_image_without_the_interpreter_is_named(cluster: Cluster, unprepared_image: str) -> None:
    deploy_shop(cluster, "shop", unprepared_image, runtime={"python": "/opt/none/bin/python"})
    found = eventually(
        lambda: not_ready(cluster, "shop", "NoPython"), within=60, what="Ready names the cause"
    )
    assert "The image has no /opt/none/bin/python." in found["message"]
