"""A container's environment, command line and paths."""

from pathlib import Path
from typing import Any

import pytest

from aiapi_sandbox.node.environment import (
    ContainerConfigError,
    EnvSources,
    PathRewriter,
    command_line,
    container_env,
    expand,
    service_links,
)

POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "1", "b": "2"}},
    "spec": {"nodeName": "sandbox", "containers": []},
    "status": {"podIP": "127.64.0.1"},
}


def sources(container: dict[str, Any]) -> EnvSources:
    data = {"s": {"k": "secret", "bad": "x"}}
    return EnvSources(
        pod=POD,
        container={"name": "app"} | container,
        secret=data.get,
        config_map={"c": {"A": "1"}}.get,
        allocatable={"cpu": "64"},
    )


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(A)", "x1y1"),
        ("$$(A)", "$(A)"),
        ("$(NONE)", "$(NONE)"),
        ("$A ${A}", "$A ${A}"),
        ("$$$(A)", "$1"),
        ("$(A", "$(A"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "n"),
        ("metadata.uid", "u"),
        ("metadata.labels['b']", "2"),
        ("metadata.labels", 'a="1"\nb="2"'),
        ("metadata.annotations['x']", ""),
        ("status.podIP", "127.64.0.1"),
        ("spec.nodeName", "sandbox"),
        ("spec.serviceAccountName", "default"),
    ],
)
def test_field_references(path: str, value: str) -> None:
    env = [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]
    assert container_env(sources({"env": env}), {}) == {"X": value}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "requests.memory", "divisor": "1Mi"}, "32"),
        ({"resource": "limits.memory"}, "0"),
    ],
)
def test_resource_references(reference: dict[str, str], value: str) -> None:
    resources = {"limits": {"cpu": "1500m"}, "requests": {"memory": "32Mi"}}
    env = [{"name": "X", "valueFrom": {"resourceFieldRef": reference}}]
    found = container_env(sources({"env": env, "resources": resources}), {})
    assert found == {"X": value}


def test_order_and_sources() -> None:
    container = {
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}],
        "env": [
            {"name": "k", "value": "own"},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "E", "value": "$(P_A)-$(S)"},
            {
                "name": "O",
                "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": True}},
            },
        ],
    }
    assert container_env(sources(container), {"B": "base"}) == {
        "B": "base",
        "P_A": "1",
        "bad": "x",
        "k": "own",
        "S": "secret",
        "E": "1-secret",
    }


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"secretKeyRef": {"name": "s", "key": "z"}}, "couldn't find key z in Secret n/s"),
        ({"configMapKeyRef": {"name": "c", "key": "z"}}, "couldn't find key z in ConfigMap n/c"),
        ({"fieldRef": {"fieldPath": "spec.x"}}, "unsupported fieldPath: spec.x"),
    ],
)
def test_errors_name_the_missing_source(origin: dict[str, Any], message: str) -> None:
    with pytest.raises(ContainerConfigError, match=message):
        container_env(sources({"env": [{"name": "X", "valueFrom": origin}]}), {})


def test_a_command_replaces_the_entrypoint_and_args_follow_it() -> None:
    env = {"A": "1"}
    assert command_line({"args": ["$(A)"]}, entrypoint=("run",), env=env) == ["run", "1"]
    assert command_line({"command": ["c"], "args": ["x"]}, entrypoint=("run",), env={}) == [
        "c",
        "x",
    ]


def test_paths_below_a_mount_are_rewritten() -> None:
    rewrite = PathRewriter(mounts={"/etc/x": Path("/pod/x"), "/etc/x/deep": Path("/pod/deep")})
    assert rewrite("/etc/x") == "/pod/x"
    assert rewrite("/etc/x/file") == "/pod/x/file"
    assert rewrite("/etc/x/deep/file") == "/pod/deep/file"
    assert rewrite("/etc/xy/file") == "/etc/xy/file"
    assert rewrite.argument("--token=/etc/x/t") == "--token=/pod/x/t"
    assert rewrite.argument("a=/etc/x/t") == "a=/etc/x/t"


def test_service_links_as_in_a_cluster() -> None:
    service = {
        "metadata": {"name": "my-db"},
        "spec": {"clusterIP": "127.96.0.1", "ports": [{"name": "sql", "port": 5432}]},
    }
    env = service_links([service])
    assert env["MY_DB_SERVICE_HOST"] == "127.96.0.1"
    assert env["MY_DB_SERVICE_PORT_SQL"] == "5432"
    assert env["MY_DB_PORT"] == "tcp://127.96.0.1:5432"


def test_real_paths_below_a_mount_path_are_kept() -> None:
    rewrite = PathRewriter(mounts={"/scratch": Path("/scratch/pod/volumes/scratch")})
    given = {"KUBECONFIG": "/scratch/pod/kubeconfig"}
    env = {**given, "CACHE": "/scratch/cache"}
    assert rewrite.environment(env, untouched=given) == {
        "KUBECONFIG": "/scratch/pod/kubeconfig",
        "CACHE": "/scratch/pod/volumes/scratch/cache",
    }
