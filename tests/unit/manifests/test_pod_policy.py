"""What a podTemplate may ask for: each forbidden field and what allows it, and what is allowed."""

from typing import Any

import pytest
from manifests_support.samples import aiapi, with_template
from pydantic import ValidationError

from aiapi_operator.manifests.pod_policy import PodTemplatePolicy, violations

STRICT = PodTemplatePolicy()


def app(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "app", **fields}]}


def context(**fields: Any) -> dict[str, Any]:
    return app(securityContext=fields)


FORBIDDEN: list[tuple[dict[str, Any], str, str, Any]] = [
    ({"hostNetwork": True}, "hostNetwork", "hostNamespaces", True),
    ({"hostPID": True}, "hostPID", "hostNamespaces", True),
    ({"hostIPC": True}, "hostIPC", "hostNamespaces", True),
    (
        app(ports=[{"containerPort": 80, "hostPort": 80}]),
        "containers[app].ports.hostPort",
        "hostNamespaces",
        True,
    ),
    (
        context(privileged=True),
        "containers[app].securityContext.privileged",
        "privileged",
        True,
    ),
    (
        {"initContainers": [{"name": "set-up", "securityContext": {"privileged": True}}]},
        "initContainers[set-up].securityContext.privileged",
        "privileged",
        True,
    ),
    (
        context(procMount="Unmasked"),
        "containers[app].securityContext.procMount",
        "privileged",
        True,
    ),
    (
        {"securityContext": {"windowsOptions": {"hostProcess": True}}},
        "securityContext.windowsOptions.hostProcess",
        "privileged",
        True,
    ),
    (
        context(windowsOptions={"hostProcess": True}),
        "containers[app].securityContext.windowsOptions.hostProcess",
        "privileged",
        True,
    ),
    (
        {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
        "volumes[root].hostPath",
        "hostPath",
        True,
    ),
    (
        context(capabilities={"add": ["SYS_ADMIN"]}),
        "containers[app].securityContext.capabilities.add",
        "capabilities",
        ("SYS_ADMIN",),
    ),
    (
        context(capabilities={"add": ["CAP_SYS_ADMIN"]}),
        "containers[app].securityContext.capabilities.add",
        "capabilities",
        ("SYS_ADMIN",),
    ),
    (
        context(capabilities={"add": ["ALL"]}),
        "containers[app].securityContext.capabilities.add",
        "capabilities",
        ("ALL",),
    ),
    (
        {"serviceAccountName": "deployer"},
        "serviceAccountName",
        "serviceAccounts",
        ("prod/deployer",),
    ),
    ({"serviceAccountName": "deployer"}, "serviceAccountName", "serviceAccounts", ("*/deployer",)),
    ({"serviceAccount": "deployer"}, "serviceAccount", "serviceAccounts", ("prod/*",)),
    (
        {"serviceAccountName": "default", "automountServiceAccountToken": True},
        "serviceAccountName",
        "serviceAccounts",
        ("*/default",),
    ),
    (
        {
            "serviceAccountName": "default",
            "volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {}}]}}],
        },
        "serviceAccountName",
        "serviceAccounts",
        ("*/default",),
    ),
]


@pytest.mark.parametrize(("spec", "path", "field", "allowed"), FORBIDDEN)
def test_a_forbidden_field_is_named_with_what_allows_it(
    spec: dict[str, Any], path: str, field: str, allowed: Any
) -> None:
    message = (
        f"spec.podTemplate.spec.{path} is forbidden: remove it, or have an administrator allow it"
        f" with podTemplatePolicy.{field} in the values of the operator's chart"
    )
    assert violations(with_template(**spec), STRICT) == [message]
    policy = PodTemplatePolicy.model_validate({field: allowed})
    assert violations(with_template(**spec), policy) == []


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"hostNetwork": False, "hostPID": None},
        {"serviceAccountName": "assistant-aiapi"},
        {"automountServiceAccountToken": True},
        {"serviceAccountName": "default"},
        {"serviceAccountName": "default", "automountServiceAccountToken": False},
        {"volumes": [{"name": "models", "emptyDir": {}}, {"name": "gone", "hostPath": None}]},
        context(privileged=False, procMount="Default", capabilities={"drop": ["ALL"], "add": []}),
        app(ports=[{"containerPort": 80}]),
        {"volumes": None, "initContainers": None, "securityContext": None},
        {"volumes": "malformed", "initContainers": [3]},
    ],
)
def test_an_ordinary_pod_template_is_allowed(spec: dict[str, Any]) -> None:
    assert violations(with_template(**spec), STRICT) == []


@pytest.mark.parametrize("pattern", ["dev/deployer", "prod/deploy", "deployer"])
def test_a_service_account_of_another_pattern_is_forbidden(pattern: str) -> None:
    policy = PodTemplatePolicy(service_accounts=(pattern,))
    assert len(violations(with_template(serviceAccountName="deployer"), policy)) == 1


def test_one_capability_allows_no_other() -> None:
    policy = PodTemplatePolicy(capabilities=("NET_BIND_SERVICE",))
    wanted = context(capabilities={"add": ["NET_BIND_SERVICE", "SYS_PTRACE"]})
    assert len(violations(with_template(**wanted), policy)) == 1


def test_all_violations_are_reported() -> None:
    spec = {"hostNetwork": True, **context(privileged=True)}
    assert len(violations(with_template(**spec), STRICT)) == 2
    assert violations(aiapi(), STRICT) == []


def test_a_misspelt_policy_is_an_error_and_not_a_permission() -> None:
    with pytest.raises(ValidationError, match="hostpath"):
        PodTemplatePolicy.model_validate({"hostpath": True})
