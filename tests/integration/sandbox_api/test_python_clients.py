"""The operator's client libraries: Kopf and the official client's async API."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import kopf
import pytest
from kubernetes import aio
from kubernetes.aio import client as k8s

from aiapi_sandbox.kinds.resources import GroupVersionResource

Api = Any  # the fixture of this folder's conftest
DEADLINE = 20.0
WIDGETS = GroupVersionResource("example.dev", "v1", "widgets")
APPLY = "application/apply-patch+yaml"


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


async def client_of(api: Api) -> k8s.ApiClient:
    configuration = k8s.Configuration()
    await aio.config.load_kube_config(
        config_file=str(api.kubeconfig), client_configuration=configuration
    )
    return k8s.ApiClient(configuration)


async def test_the_official_client_applies_and_watches(widgets: Api) -> None:
    async with await client_of(widgets) as client:
        custom = k8s.CustomObjectsApi(client)
        place = ("example.dev", "v1", "default", "widgets")
        created = await custom.create_namespaced_custom_object(*place, widget("a", size=2))
        status = {**widget("a"), "status": {"ready": "yes"}}
        status.pop("spec")
        applied = [
            await custom.patch_namespaced_custom_object_status(
                *place, "a", status, field_manager="op", force=True, _content_type=APPLY
            )
            for _ in range(2)
        ]
        versions = [item["metadata"]["resourceVersion"] for item in applied]
        assert versions[0] == versions[1] != created["metadata"]["resourceVersion"]
        listed = await custom.list_namespaced_custom_object(*place)
        assert [item["status"] for item in listed["items"]] == [{"ready": "yes"}]


async def test_the_official_client_reads_typed_objects(api: Api) -> None:
    async with await client_of(api) as client:
        core, apps = k8s.CoreV1Api(client), k8s.AppsV1Api(client)
        secret = k8s.V1Secret(
            metadata=k8s.V1ObjectMeta(name="s", namespace="default"), string_data={"token": "t"}
        )
        made = await core.create_namespaced_secret("default", secret)
        assert made.type == "Opaque"
        assert made.data == {"token": "dA=="}
        template = {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]},
        }
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template},
        }
        applied = await apps.patch_namespaced_deployment(
            "d", "default", body, field_manager="op", force=True, _content_type=APPLY
        )
        assert applied.spec.replicas == 1
        scale = await apps.patch_namespaced_deployment_scale(
            "d", "default", {"spec": {"replicas": 3}}
        )
        assert scale.spec.replicas == 3
        with pytest.raises(k8s.ApiException) as missing:
            await core.read_namespaced_pod("missing", "default")
        assert missing.value.status == 404


async def test_kopf_sees_every_change_and_writes_nothing(
    widgets: Api, eventually: Callable[[Callable[[], bool]], Awaitable[None]]
) -> None:
    registry = kopf.OperatorRegistry()
    seen: list[tuple[str | None, str | None]] = []

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=widgets.server.url, ca_data=widgets.ca, token=widgets.server.token
        )

    @kopf.on.event("example.dev", "v1", "widgets", registry=registry)
    async def changed(type: str | None, name: str | None, **_: Any) -> None:  # noqa: A002 - Kopf's name
        seen.append((type, name))

    widgets.store.create(WIDGETS, widget("first"))
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.queueing.idle_timeout = settings.queueing.exit_timeout = 0.1
    stop = asyncio.Event()
    running = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=settings,
            namespaces=["default"],
            stop_flag=stop,
            standalone=True,
        )
    )
    await eventually(lambda: (None, "first") in seen)
    widgets.store.create(WIDGETS, widget("second"))
    await eventually(lambda: ("ADDED", "second") in seen)
    widgets.store.delete(WIDGETS, "default", "second")
    await eventually(lambda: ("DELETED", "second") in seen)
    stop.set()
    await asyncio.wait_for(running, DEADLINE)
    first = widgets.store.get(WIDGETS, "default", "first")
    assert "finalizers" not in first["metadata"]
    assert "annotations" not in first["metadata"]
