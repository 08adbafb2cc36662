"""What beside the app still names its old port is explained, and a shared port is refused."""

from typing import Any

import pytest

from aiapi_operator.plugin.adopt.choices import Choices
from aiapi_operator.plugin.adopt.convert import Adoption, convert
from aiapi_operator.plugin.adopt.related import find
from aiapi_operator.plugin.adopt.remarks import AdoptionError

SERVING = ["uvicorn", "x.main:app", "--port", "5000"]


def adopted(
    *more: dict[str, Any],
    sidecar: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    **app: Any,
) -> Adoption:
    container = {"name": "x", "image": "x:1", "command": SERVING,
                 "ports": [{"name": "web", "containerPort": 5000}], **app}  # fmt: skip
    template = {
        "metadata": {"labels": {"app": "x"}, "annotations": annotations or {}},
        "spec": {"containers": [container, *([sidecar] if sidecar else [])]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template},
    }
    return convert(find(deployment, [deployment, *more]), Choices())


def service(target: Any) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": "x"},
        "spec": {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": target}]},
    }


def reason(adoption: Adoption, field: str) -> str:
    return next(each.reason for each in adoption.remarks if each.field.endswith(field))


PROXY = {
    "name": "nginx",
    "image": "nginx:1",
    "args": ["-u", "http://127.0.0.1:5000"],
    "ports": [{"name": "proxy", "containerPort": 8080}],
}


def test_a_proxy_that_calls_the_old_port_is_named() -> None:
    adoption = adopted(service("proxy"), sidecar=PROXY)
    assert "has 5000, the old port of the app" in reason(adoption, "containers[nginx].args")
    assert "stays with the container nginx" in reason(adoption, "targetPort")


@pytest.mark.parametrize("port", [8000, 9000])
def test_a_port_of_another_container_that_the_pod_needs_is_refused(port: int) -> None:
    sidecar = {**PROXY, "ports": [{"containerPort": port}]}
    with pytest.raises(AdoptionError, match=rf"\[nginx\]\.ports: port {port} is taken.*give"):
        adopted(sidecar=sidecar)


def test_the_target_of_a_service_is_changed_with_its_selector() -> None:
    assert "set targetPort: http in the same patch" in reason(adopted(service(5000)), "targetPort")
    assert "admin port" in reason(adopted(service(9000)), "targetPort")


def test_annotations_name_the_new_port_and_container() -> None:
    adoption = adopted(annotations={"dapr.io/app-port": "5000", "ad.datadoghq.com/x.logs": "[]"})
    found = adoption.manifest["spec"]["podTemplate"]["metadata"]["annotations"]
    assert found == {"dapr.io/app-port": "8000", "ad.datadoghq.com/app.logs": "[]"}


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ({"postStart": {"httpGet": {"port": "web"}}}, "before the workers listen"),
        ({"preStop": {"exec": {"command": ["curl", "localhost:5000"]}}}, "calls port 5000"),
    ],
)
def test_a_hook_that_cannot_work_is_left_out(hook: dict[str, Any], why: str) -> None:
    adoption = adopted(lifecycle=hook)
    assert why in reason(adoption, f"lifecycle.{next(iter(hook))}")
    assert "lifecycle" not in adoption.manifest["spec"]["podTemplate"]["spec"]["containers"][0]


def test_a_vertical_autoscaler_is_named() -> None:
    vertical = {"kind": "VerticalPodAutoscaler", "metadata": {"name": "x"},
                "spec": {"targetRef": {"kind": "Deployment", "name": "x"}}}  # fmt: skip
    found = [each for each in adopted(vertical).remarks if each.origin.startswith("Vertical")]
    assert "stays with the Deployment" in found[0].reason


@pytest.mark.parametrize("command", [["python", "main.py"], ["celery", "-A", "x", "worker"],
                                     ["uwsgi", "--module", "x:app"], ["flask", "run"],
                                     ["daphne", "x.asgi:app"], ["supervisord"]])  # fmt: skip
def test_a_command_without_a_known_server_is_refused_with_its_field(command: list[str]) -> None:
    with pytest.raises(AdoptionError, match=r"containers\[x\]\.command: .*--app MODULE:ATTRIBUTE"):
        adopted(command=command)
