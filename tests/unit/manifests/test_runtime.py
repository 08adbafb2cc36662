"""The injected runtime: which images get it, how, and when a Deployment changes it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from manifests_support.pod_security import violations
from manifests_support.samples import CONTEXT, RUNTIME, aiapi

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import Context, deployment, runtime
from aiapi_operator.manifests.runtime import ANNOTATION, Delivery, Runtime

Json = dict[str, Any]

UNPREPARED = {"image": "ghcr.io/shop/api:7", "app": "shop.main:app"}
COPYING = replace(CONTEXT, runtime=replace(RUNTIME, delivery=Delivery.INIT_CONTAINER))
NEWER = replace(RUNTIME, image="ghcr.io/aiapi-dev/runtime:0.2.0")


def pod(spec: AIApi, context: Context = CONTEXT) -> Json:
    found: Json = deployment.build(spec, context)["spec"]["template"]["spec"]
    return found


def app(spec: AIApi, context: Context = CONTEXT) -> Json:
    (found,) = [each for each in pod(spec, context)["containers"] if each["name"] == "app"]
    return dict(found)


def named(items: list[Json], name: str) -> list[Json]:
    return [item for item in items if item.get("name") == name]


INJECTED = {
    "another image": ({"image": "ghcr.io/shop/api:7", "app": "a:b"}, True),
    "another image, by digest": ({"image": "shop/api@sha256:" + "0" * 64, "app": "a:b"}, True),
    "another registry": ({"image": "mirror:5000/aiapi-dev/service:1", "app": "a:b"}, True),
    "no image": ({"app": "a:b"}, False),
    "the default image": ({"image": CONTEXT.default_image, "app": "a:b"}, False),
    "another version of it": ({"image": "ghcr.io/aiapi-dev/service:9", "app": "a:b"}, False),
    "its digest": ({"image": "ghcr.io/aiapi-dev/service@sha256:0", "app": "a:b"}, False),
    "its latest": ({"image": "ghcr.io/aiapi-dev/service", "app": "a:b"}, False),
    "an image without an app": ({"image": "ghcr.io/shop/api:7"}, False),
    "asked for": ({"app": "a:b", "runtime": {"source": "Injected"}}, True),
    "declined": ({**UNPREPARED, "runtime": {"source": "Image"}}, False),
}


@pytest.mark.parametrize(("spec", "expected"), INJECTED.values(), ids=INJECTED.keys())
def test_images_that_get_the_runtime(spec: Json, *, expected: bool) -> None:
    command = app(aiapi(**spec))["command"]
    assert command == (["python3", "/aiapi/aiapi/launch.py"] if expected else ["aiapi-serve"])
    assert bool(named(pod(aiapi(**spec))["volumes"], "aiapi-runtime")) is expected


def test_an_image_volume_mounts_the_runtime_and_runs_nothing() -> None:
    found = pod(aiapi(**UNPREPARED))
    reference = {"reference": RUNTIME.image, "pullPolicy": "IfNotPresent"}
    assert named(found["volumes"], "aiapi-runtime") == [
        {"name": "aiapi-runtime", "image": reference}
    ]
    # Without a subPath: containerd 2.1 ignores it, and mounts the whole image.
    mount = {"name": "aiapi-runtime", "mountPath": "/aiapi", "readOnly": True}
    assert named(app(aiapi(**UNPREPARED))["volumeMounts"], "aiapi-runtime") == [mount]
    assert "initContainers" not in found


def test_an_init_container_copies_the_runtime_with_bounds_of_its_own() -> None:
    found = pod(aiapi(**UNPREPARED), COPYING)
    (copy,) = found["initContainers"]
    assert (copy["name"], copy["image"]) == ("aiapi-runtime", RUNTIME.image)
    assert copy["command"] == ["cp", "-R", "/aiapi", "/runtime"]
    assert copy["volumeMounts"] == [{"name": "aiapi-runtime", "mountPath": "/runtime"}]
    assert copy["resources"] == {
        "requests": {"cpu": "10m", "memory": "16Mi"},
        "limits": {"cpu": "1", "memory": "128Mi"},
    }
    assert named(found["volumes"], "aiapi-runtime") == [
        {"name": "aiapi-runtime", "emptyDir": {"sizeLimit": "512Mi"}}
    ]
    mount = {"name": "aiapi-runtime", "mountPath": "/aiapi", "readOnly": True}
    assert named(app(aiapi(**UNPREPARED), COPYING)["volumeMounts"], "aiapi-runtime") == [mount]


@pytest.mark.parametrize("context", [CONTEXT, COPYING], ids=["volume", "init container"])
def test_pods_with_the_runtime_meet_the_restricted_standard(context: Context) -> None:
    assert violations(pod(aiapi(**UNPREPARED), context)) == []


def test_the_interpreter_and_the_entrypoint_of_the_image_are_used() -> None:
    chosen = {"python": "/opt/venv/bin/python", "entrypoint": ["/entrypoint.sh", "api"]}
    found = app(aiapi(**UNPREPARED, runtime=chosen))
    assert found["command"] == [
        *("/entrypoint.sh", "api"),
        *("/opt/venv/bin/python", "/aiapi/aiapi/launch.py"),
    ]
    assert found["args"] == ["shop.main:app"]
    python = {"name": "AIAPI_PYTHON", "value": "/opt/venv/bin/python"}
    assert named(found["env"], "AIAPI_PYTHON") == [python]
    assert named(app(aiapi(**UNPREPARED))["env"], "AIAPI_PYTHON") == []


def test_the_last_log_line_becomes_the_termination_message() -> None:
    assert app(aiapi(**UNPREPARED))["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert app(aiapi())["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_pod_template_cannot_replace_the_runtime() -> None:
    other = {"name": "aiapi-runtime", "image": "evil:1", "command": ["sh"], "volumeMounts": None}
    overlay = {
        "initContainers": [other, {"name": "migrate", "image": "shop:1"}],
        "containers": [
            {
                "name": "app",
                "volumeMounts": [{"name": "x", "mountPath": "/aiapi"}],
                "env": [{"name": "AIAPI_PYTHON", "value": "/bin/sh"}],
            }
        ],
        "volumes": [{"name": "aiapi-runtime", "emptyDir": {"medium": "Memory"}}],
    }
    spec = aiapi(**UNPREPARED, podTemplate={"spec": overlay})
    plain, found = pod(aiapi(**UNPREPARED), COPYING), pod(spec, COPYING)
    assert found["initContainers"][0] == plain["initContainers"][0]
    assert found["initContainers"][1] == {"name": "migrate", "image": "shop:1"}
    assert named(found["volumes"], "aiapi-runtime") == named(plain["volumes"], "aiapi-runtime")
    mounts = [m for m in app(spec, COPYING)["volumeMounts"] if m["mountPath"] == "/aiapi"]
    assert mounts == named(app(aiapi(**UNPREPARED), COPYING)["volumeMounts"], "aiapi-runtime")
    assert named(app(spec, COPYING)["env"], "AIAPI_PYTHON") == []


def test_a_pod_template_may_set_the_resources_of_the_init_container() -> None:
    changed = {"name": "aiapi-runtime", "resources": {"limits": {"memory": "256Mi"}}}
    spec = aiapi(**UNPREPARED, podTemplate={"spec": {"initContainers": [changed]}})
    (copy,) = pod(spec, COPYING)["initContainers"]
    assert copy["resources"]["limits"] == {"cpu": "1", "memory": "256Mi"}


def test_removing_all_init_containers_keeps_the_one_of_the_runtime() -> None:
    spec = aiapi(**UNPREPARED, podTemplate={"spec": {"initContainers": None}})
    assert [each["name"] for each in pod(spec, COPYING)["initContainers"]] == ["aiapi-runtime"]


def test_init_containers_of_other_pods_are_not_touched() -> None:
    own = {"name": "aiapi-runtime", "image": "mine:1", "command": ["true"]}
    spec = aiapi(podTemplate={"spec": {"initContainers": [own]}})
    assert pod(spec)["initContainers"] == [own]


# A Deployment keeps its runtime.


def serving(spec: AIApi, context: Context = CONTEXT, *, ready: int = 2) -> Json:
    """The Deployment as it is in the cluster."""
    return {**deployment.build(spec, context), "status": {"readyReplicas": ready}}


def image(made: Json) -> str:
    """The runtime image of a Deployment."""
    spec = made["spec"]["template"]["spec"]
    (volume,) = named(spec["volumes"], "aiapi-runtime")
    if "image" in volume:
        return str(volume["image"]["reference"])
    return str(spec["initContainers"][0]["image"])


def upgraded(current: Json | None, wanted: Runtime = NEWER, **options: Any) -> Context:
    return replace(CONTEXT, runtime=wanted, deployment=current, **options)


def test_an_upgrade_of_the_operator_changes_no_template() -> None:
    spec = aiapi(**UNPREPARED)
    current = serving(spec)
    again = deployment.build(spec, upgraded(current))
    assert again == {key: value for key, value in current.items() if key != "status"}


def test_an_upgrade_of_the_cluster_changes_no_template() -> None:
    spec = aiapi(**UNPREPARED)
    current = serving(spec, COPYING)
    again = deployment.build(spec, replace(CONTEXT, deployment=current))
    assert again["spec"] == current["spec"]


def test_a_changed_template_takes_the_new_runtime() -> None:
    current = serving(aiapi(**UNPREPARED))
    changed = aiapi(**{**UNPREPARED, "image": "ghcr.io/shop/api:8"})
    assert image(deployment.build(changed, upgraded(current))) == NEWER.image


def test_a_change_that_rolls_no_pods_keeps_the_runtime() -> None:
    current = serving(aiapi(**UNPREPARED))
    changed = aiapi(**UNPREPARED, replicas={"max": 40}, scaling={"mode": "Paused"})
    assert image(deployment.build(changed, upgraded(current))) == RUNTIME.image


def test_a_requested_restart_takes_the_new_runtime_once() -> None:
    spec = aiapi(**UNPREPARED)
    current = serving(spec)
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-11-28T10:00:00Z"}
    current["spec"]["template"]["metadata"]["annotations"] = restarted
    taken = deployment.build(spec, upgraded(current))
    assert image(taken) == NEWER.image
    taken["spec"]["template"]["metadata"]["annotations"] = restarted
    later = replace(RUNTIME, image="ghcr.io/aiapi-dev/runtime:0.3.0")
    again = deployment.build(
        spec, upgraded({**taken, "status": {"readyReplicas": 2}}, wanted=later)
    )
    assert image(again) == NEWER.image


def test_pods_that_do_not_serve_take_the_new_runtime() -> None:
    spec = aiapi(**UNPREPARED)
    assert image(deployment.build(spec, upgraded(serving(spec, ready=0)))) == NEWER.image


def test_a_delivery_that_the_user_chose_applies_at_once() -> None:
    spec = aiapi(**UNPREPARED)
    context = upgraded(serving(spec), COPYING.runtime, keep_delivery=False)
    assert "initContainers" in pod(spec, context)
    kept = upgraded(serving(spec), NEWER, keep_delivery=False)
    assert image(deployment.build(spec, kept)) == RUNTIME.image


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "{}", '{"image": "x", "pullPolicy": "", "delivery": "Fax"}']
)
def test_a_changed_annotation_is_ignored(text: str | None) -> None:
    spec = aiapi(**UNPREPARED)
    current = serving(spec)
    current["metadata"]["annotations"] = {} if text is None else {ANNOTATION: text}
    assert image(deployment.build(spec, upgraded(current))) == NEWER.image


def test_an_annotation_without_an_image_is_ignored() -> None:
    spec = aiapi(**UNPREPARED)
    current = serving(spec)
    annotations = current["metadata"]["annotations"]
    annotations[ANNOTATION] = json.dumps({**json.loads(annotations[ANNOTATION]), "image": ""})
    assert image(deployment.build(spec, upgraded(current))) == NEWER.image


def test_only_deployments_with_an_injected_runtime_have_the_annotation() -> None:
    assert ANNOTATION not in deployment.build(aiapi(), CONTEXT)["metadata"]["annotations"]
    recorded = deployment.build(aiapi(**UNPREPARED), CONTEXT)["metadata"]["annotations"]
    assert RUNTIME.image in recorded[ANNOTATION]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("a/b", "a/b"),
        ("a/b:1", "a/b"),
        ("r:5000/a/b", "r:5000/a/b"),
        ("r:5000/a/b:1@sha256:0", "r:5000/a/b"),
    ],
)
def test_the_repository_of_an_image(reference: str, expected: str) -> None:
    assert runtime.repository(reference) == expected
