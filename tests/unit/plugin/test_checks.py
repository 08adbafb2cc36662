"""The checks of the doctor: passed, failed and unknown, each with a hint."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from aiapi_operator.api.crd import crd
from aiapi_operator.cluster.errors import Forbidden, Unavailable
from aiapi_operator.cluster.permissions import PERMISSIONS
from aiapi_operator.plugin import checks
from aiapi_operator.plugin.checks import CheckResult

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def deployment(*, ready: int = 1, namespaces: str = "", lease_name: str = "") -> dict[str, Any]:
    variables = {
        "AIAPI_OPERATOR_NAMESPACES": namespaces,
        "AIAPI_OPERATOR_LEASE_NAME": lease_name,
    }
    env = [{"name": name, "value": value} for name, value in variables.items() if value]
    pod = {"serviceAccountName": "aiapi", "containers": [{"name": "operator", "env": env}]}
    return {
        "metadata": {"name": "aiapi-operator", "namespace": "aiapi-system"},
        "spec": {"template": {"spec": pod}},
        "status": {"readyReplicas": ready},
    }


def lease(*, renewed: str = "2026-01-01T11:59:58.000000Z", holder: str = "one") -> dict[str, Any]:
    return {
        "metadata": {"name": "aiapi-operator", "namespace": "aiapi-system"},
        "spec": {"holderIdentity": holder, "renewTime": renewed},
    }


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("v1.36.2+k3s1", CheckResult.OK),
        ("v1.29.0", CheckResult.OK),
        ("v1.28.9", CheckResult.PROBLEM),
        ("v2.0.0", CheckResult.OK),
    ],
)
def test_the_clusters_version(text: str, result: CheckResult) -> None:
    assert checks.version(text).result is result


def test_the_crd_of_this_release_and_of_others() -> None:
    assert checks.crd_version(crd()).result is CheckResult.OK
    assert checks.crd_version(None).hint.endswith("kubectl apply --server-side -f crds/")
    older, newer = copy.deepcopy(crd()), copy.deepcopy(crd())
    fields = [
        each["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        for each in (older, newer)
    ]
    del fields[0]["objective"]
    fields[1]["sparkle"] = {"type": "object"}
    assert checks.crd_version(older).result is CheckResult.PROBLEM
    assert "v1alpha1.spec.objective" in checks.crd_version(older).message
    assert checks.crd_version(newer).result is CheckResult.NOTE
    assert "v1alpha1.spec.sparkle" in checks.crd_version(newer).message


def test_an_operator_with_a_leader_without_one_and_no_operator() -> None:
    found = checks.operator([deployment()], [lease()], NOON)
    assert found.message == "running (aiapi-system/aiapi-operator), leader: one"
    assert "outside this cluster" in checks.operator([], [lease()], NOON).message
    assert "without leader election" in checks.operator([deployment()], [], NOON).message
    stale = checks.operator([deployment()], [lease(renewed="2026-01-01T11:00:00Z")], NOON)
    assert (stale.result, "no pod holds the Lease" in stale.message) == (CheckResult.PROBLEM, True)
    assert checks.operator([], [lease(holder="")], NOON).result is CheckResult.PROBLEM
    assert checks.operator([deployment(ready=0)], [], NOON).result is CheckResult.PROBLEM
    assert "not found" in checks.operator([], [], NOON).message


def test_the_lease_is_the_one_that_the_deployment_names() -> None:
    assert checks.lease_name([deployment(lease_name="sizer-aiapi-operator")]) == (
        "sizer-aiapi-operator"
    )
    assert checks.lease_name([deployment()]) == checks.lease_name([]) == "aiapi-operator"


def test_an_aiapi_with_an_invalid_spec_has_no_metrics(aiapi: dict[str, Any]) -> None:
    rejected = copy.deepcopy(aiapi)
    condition = {
        "type": "Accepted",
        "status": "False",
        "reason": "InvalidSpec",
        "message": "no zone",
    }
    rejected["status"] = {"conditions": [condition]}
    found = checks.metrics([rejected, aiapi])
    assert (found.result, found.message) == (
        CheckResult.OK,
        "1 AIApi (assistant), all pods respond",
    )
    assert checks.metrics([rejected]).result is CheckResult.NOTE
    assert [each.message for each in checks.needs_attention([rejected])] == [
        "Accepted=False: no zone"
    ]


def test_metrics_that_do_not_reach_the_operator(aiapi: dict[str, Any]) -> None:
    assert checks.metrics([]).result is CheckResult.NOTE
    assert checks.metrics([aiapi]).result is CheckResult.OK
    aiapi["status"]["conditions"][2] |= {"status": "True", "message": "No pod answers."}
    assert checks.metrics([aiapi]).message == "shop/assistant: No pod answers."
    del aiapi["status"]
    assert "no decision yet for assistant" in checks.metrics([aiapi]).message


def test_aiapis_that_need_attention(aiapi: dict[str, Any]) -> None:
    (found,) = checks.needs_attention([aiapi])
    assert found.name == "shop/assistant"
    assert found.hint == "kubectl aiapi explain assistant -n shop"


class Reviews:
    """An API server that answers access reviews."""

    namespace = "default"

    def __init__(self, *, rejected: str = "", error: Exception | None = None) -> None:
        self._rejected = rejected
        self._error = error
        self.asked: list[dict[str, str]] = []
        self.users: set[str] = set()

    async def review(
        self, attributes: dict[str, str], *, user: str = "", groups: tuple[str, ...] = ()
    ) -> bool:
        if self._error:
            raise self._error
        self.asked.append(attributes)
        self.users.add(user)
        return attributes["resource"] != self._rejected


async def test_all_permissions_of_the_operators_account_are_reviewed() -> None:
    reader: Any = Reviews()
    found = await checks.operator_permissions(reader, [deployment()])
    assert found.result is CheckResult.OK
    assert reader.users == {"system:serviceaccount:aiapi-system:aiapi"}
    assert len(reader.asked) == sum(len(each.verbs) for each in PERMISSIONS)
    resize = {"group": "", "resource": "pods", "subresource": "resize", "verb": "patch"}
    assert resize in reader.asked
    assert {"coordination.k8s.io", ""} == {
        each["group"] for each in reader.asked if each.get("namespace") == "aiapi-system"
    }


async def test_own_objects_are_reviewed_by_the_names_that_the_role_grants() -> None:
    own = {"leases": "sizer", "secrets": "aiapi-operator-admin-ca"}

    class RestrictedToOneLease(Reviews):
        async def review(self, attributes: dict[str, str], **who: Any) -> bool:
            await super().review(attributes, **who)
            in_own = attributes.get("namespace") == "aiapi-system"
            if not in_own or attributes["verb"] == "create" or attributes["resource"] == "pods":
                return "name" not in attributes
            return attributes.get("name") == own[attributes["resource"]]

    reader: Any = RestrictedToOneLease()
    found = await checks.operator_permissions(reader, [deployment(lease_name="sizer")])
    assert found.result is CheckResult.OK, found.message
    other = await checks.operator_permissions(reader, [deployment()], "another")
    assert "may not get leases, update leases" in other.message


async def test_the_reason_why_no_pod_is_ready_is_part_of_the_message() -> None:
    why = "operator-1: not watching yet: starting"
    installed = "installed (aiapi-system/aiapi-operator)"
    found = checks.operator([deployment(ready=0)], [], NOON, why)
    assert found.message == f"{installed}, but no pod holds the Lease. {why}"


async def test_each_watched_namespace_is_reviewed_and_denials_reported() -> None:
    reader: Any = Reviews(rejected="secrets")
    found = await checks.operator_permissions(reader, [deployment(namespaces="shop, search")])
    assert found.result is CheckResult.PROBLEM
    assert "may not create secrets" in found.message
    assert {"shop", "search"} < {each.get("namespace") for each in reader.asked}


async def test_forbidden_reviews_are_unknown_and_not_a_problem() -> None:
    reader: Any = Reviews(error=Forbidden("may not"))
    assert (await checks.operator_permissions(reader, [deployment()])).result is CheckResult.UNKNOWN
    away: Any = Reviews(error=Unavailable("away"))
    with pytest.raises(Unavailable):
        await checks.operator_permissions(away, [])
