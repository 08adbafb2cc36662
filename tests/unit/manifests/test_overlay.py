"""podTemplate: what it changes, and what it cannot change."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests_support.samples import CONTEXT, aiapi, aiapis, patient, with_template

from aiapi_operator.api import AIApi
from aiapi_operator.api.container import OWNED_ENV
from aiapi_operator.manifests import pod_template
from aiapi_operator.manifests.overlay import merge

Json = dict[str, Any]


def pod(aiapi: AIApi) -> Json:
    spec: Json = pod_template.build(aiapi, CONTEXT)["spec"]
    return spec


def app(pod: Json) -> Json:
    found: Json = next(c for c in pod["containers"] if c["name"] == "app")
    return found


def named(items: list[Json], name: str) -> list[Json]:
    return [item for item in items if item.get("name") == name]


def test_an_empty_overlay_changes_nothing() -> None:
    assert pod_template.build(with_template(), CONTEXT) == pod_template.build(aiapi(), CONTEXT)


def test_labels_and_annotations_are_added() -> None:
    spec = with_template(metadata={"labels": {"team": "search"}, "annotations": {"a": "b"}})
    metadata = pod_template.build(spec, CONTEXT)["metadata"]
    assert metadata["labels"]["team"] == "search"
    assert metadata["labels"]["aiapi.dev/name"] == "assistant"
    assert metadata["annotations"] == {"aiapi.dev/admin-scheme": "https", "a": "b"}


def test_pod_fields_are_set_and_null_removes() -> None:
    found = pod(
        with_template(
            nodeSelector={"disk": "fast"},
            securityContext={"runAsUser": None, "runAsGroup": None, "fsGroup": 1000},
            topologySpreadConstraints=None,
        )
    )
    assert found["nodeSelector"] == {"disk": "fast"}
    assert found["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "fsGroup": 1000,
    }
    assert "topologySpreadConstraints" not in found


NUMERIC = {"image": "ghcr.io/shop/api:7", "app": "shop.main:app"}
HARDENED = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_any_image_runs_as_a_user_that_is_not_root() -> None:
    found = pod_template.build(aiapi(**NUMERIC), CONTEXT)["spec"]["securityContext"]
    assert found == {**HARDENED, "runAsUser": 65532, "runAsGroup": 65532}


def test_the_projects_own_image_keeps_its_user() -> None:
    for spec in ({}, {"image": "ghcr.io/aiapi-dev/service:0.9.0"}):
        assert pod_template.build(aiapi(**spec), CONTEXT)["spec"]["securityContext"] == HARDENED


def test_a_cluster_that_assigns_users_gets_no_other() -> None:
    context = replace(CONTEXT, assigns_users=True)
    found = pod_template.build(aiapi(**NUMERIC), context)["spec"]
    assert found["securityContext"] == HARDENED
    assert "runAsUser" not in str(found)


def test_defaults_can_be_left_out_without_null() -> None:
    every = ["RunAsUser", "TopologySpread", "StartupProbe", "LivenessProbe"]
    found = pod_template.build(aiapi(**NUMERIC, podTemplate={"omit": every}), CONTEXT)["spec"]
    assert found["securityContext"] == HARDENED
    assert "topologySpreadConstraints" not in found
    assert {key for key in app(found) if key.endswith("Probe")} == {"readinessProbe"}
    assert "omit" not in found


def test_a_default_that_is_left_out_can_be_set() -> None:
    overlay = {
        "omit": ["RunAsUser", "LivenessProbe"],
        "spec": {
            "securityContext": {"runAsUser": 1000},
            "containers": [{"name": "app", "livenessProbe": {"exec": {"command": ["true"]}}}],
        },
    }
    found = pod_template.build(aiapi(**NUMERIC, podTemplate=overlay), CONTEXT)["spec"]
    assert found["securityContext"] == {**HARDENED, "runAsUser": 1000}
    assert app(found)["livenessProbe"] == {"exec": {"command": ["true"]}}


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe"])
@pytest.mark.parametrize(
    "handler", [{"exec": {"command": ["true"]}}, {"tcpSocket": {"port": 1}}, {"grpc": {"port": 1}}]
)
def test_a_probe_has_one_handler(probe: str, handler: Json) -> None:
    found = app(pod(with_template(containers=[{"name": "app", probe: handler}])))[probe]
    assert "httpGet" not in found
    assert handler.items() <= found.items()
    assert found["periodSeconds"] in (1, 10)


def test_the_app_container_merges_field_by_field() -> None:
    spec: Json = {
        "name": "app",
        "env": [{"name": "EXTRA", "value": "1"}],
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
        "resources": {"limits": {"nvidia.com/gpu": 1}, "requests": {"cpu": "9"}},
        "readinessProbe": {"failureThreshold": 9, "exec": {"command": ["true"]}},
        "ports": [{"containerPort": 8001, "name": "extra"}],
    }
    found = app(pod(with_template(containers=[spec])))
    assert named(found["env"], "EXTRA")
    assert [mount["mountPath"] for mount in found["volumeMounts"]] == [
        "/var/run/secrets/aiapi.dev",
        "/tmp",
        "/models",
    ]
    assert found["resources"] == {
        "limits": {"nvidia.com/gpu": 1},
        "requests": {"cpu": "500m", "memory": "256Mi"},
    }
    assert found["readinessProbe"]["failureThreshold"] == 9
    assert found["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert "exec" not in found["readinessProbe"]
    assert [port["name"] for port in found["ports"]] == ["http", "admin", "extra"]


def test_a_sidecar_is_added() -> None:
    found = pod(with_template(containers=[{"name": "side", "image": "side:1"}]))
    assert [container["name"] for container in found["containers"]] == ["app", "side"]
    assert found["containers"][1] == {"name": "side", "image": "side:1"}


def test_a_volume_with_the_same_name_is_replaced() -> None:
    claim = {"name": "tmp", "persistentVolumeClaim": {"claimName": "scratch"}}
    assert named(pod(with_template(volumes=[claim]))["volumes"], "tmp") == [claim]


def test_merge_leaves_its_arguments_unchanged() -> None:
    below, above = {"a": {"b": 1}}, {"a": {"c": None, "d": 2}}
    assert merge(below, above) == {"a": {"b": 1, "d": 2}}
    assert (below, above) == ({"a": {"b": 1}}, {"a": {"c": None, "d": 2}})


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["app", "http", "x", "admin-token"]),
    lambda below: (
        st.lists(below, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "value", "mountPath", "requests"]), below, max_size=2
        )
    ),
    max_leaves=6,
)
_ITEMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from([*OWNED_ENV, "http", "admin", "admin-token", "tmp", "x"]),
            "containerPort": st.sampled_from([8000, 9000, 1]),
            "mountPath": st.sampled_from(["/var/run/secrets/aiapi.dev", "/tmp", "/x"]),
            "value": _JSON,
        },
    ),
    max_size=3,
)
_CONTAINER_FIELDS = ("env", "ports", "volumeMounts")
_HOSTILE_APP = st.fixed_dictionaries(
    {"name": st.just("app")},
    optional={
        **{field: st.none() | _ITEMS for field in _CONTAINER_FIELDS},
        "resources": st.sampled_from([None, {}, {"requests": {"cpu": "9", "memory": None}}]),
        "readinessProbe": st.sampled_from([None, {"httpGet": None}, {"exec": {}}]),
        "resizePolicy": st.none() | st.just([]),
        "securityContext": st.none(),
    },
)


@patient
@given(app_overlay=_HOSTILE_APP, volumes=st.none() | _ITEMS)
def test_required_fields_cannot_be_changed(app_overlay: Json, volumes: Any) -> None:
    clean, found = pod(aiapi()), pod(with_template(containers=[app_overlay], volumes=volumes))
    wanted, served = app(clean), app(found)
    for field in ("image", "command", "resizePolicy"):
        assert served[field] == wanted[field]
    assert served["resources"]["requests"].items() >= wanted["resources"]["requests"].items()
    assert served["readinessProbe"]["httpGet"] == wanted["readinessProbe"]["httpGet"]
    assert named(found["volumes"], "admin-token") == named(clean["volumes"], "admin-token")
    token_mounts = [
        m for m in served["volumeMounts"] if m.get("mountPath", "").endswith("aiapi.dev")
    ]
    assert token_mounts == [wanted["volumeMounts"][0]]
    owned = [variable for variable in wanted["env"] if variable["name"] in OWNED_ENV]
    assert [v for v in served["env"] if v.get("name") in OWNED_ENV] == owned
    ports = [(p.get("name"), p.get("containerPort")) for p in served["ports"]]
    assert ports[:2] == [("http", 8000), ("admin", 9000)]
    assert all(name not in ("http", "admin") for name, _ in ports[2:])


@patient
@given(fields=st.dictionaries(st.sampled_from(["volumes", "tolerations", "x"]), _JSON), inner=_JSON)
def test_malformed_values_pass_through_to_the_api_server(fields: Json, inner: Any) -> None:
    spec = {"name": "app", "env": inner, "resources": inner, "readinessProbe": inner}
    built = pod(with_template(containers=[spec], **fields))
    assert app(built)["command"] == ["aiapi-serve"]


@patient
@given(aiapis)
def test_the_merge_is_idempotent(spec: AIApi) -> None:
    overlay = spec.spec.pod_template.model_dump(mode="json", by_alias=True, exclude_unset=True)
    once = merge({"metadata": {}, "spec": {}}, overlay)
    assert merge(once, overlay) == once
