"""The doctor's checks: right, wrong and not to be known, each with the way out."""

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
    told = {"AIAPI_OPERATOR_NAMESPACES": namespaces, "AIAPI_OPERATOR_LEASE_NAME": lease_name}
    env = [{"name": name, "value": value} for name, value in told.items() if value]
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


def test_the_definition_of_this_release_and_of_others() -> None:
    assert checks.crd_version(crd()).result is CheckResult.OK
    assert checks.crd_version(None).way_out.endswith("kubectl apply --server-side -f crds/")
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


def test_an_operator_that_leads_one_that_does_not_and_none() -> None:
    found = checks.operator([deployment()], [lease()], NOON)
    assert found.message == "runs (aiapi-system/aiapi-operator); one leads"
    assert "outside of this cluster" in checks.operator([], [lease()], NOON).message
    assert "without leader election" in checks.operator([deployment()], [], NOON).message
    stale = checks.operator([deployment()], [lease(renewed="2026-01-01T11:00:00Z")], NOON)
    assert (stale.result, "does not act" in stale.message) == (CheckResult.PROBLEM, True)
    assert checks.operator([], [lease(holder="")], NOON).result is CheckResult.PROBLEM
    assert checks.operator([deployment(ready=0)], [], NOON).result is CheckResult.PROBLEM
    assert "none was found" in checks.operator([], [], NOON).message


def test_the_lease_is_the_one_that_the_deployment_names() -> None:
    assert checks.lease_name([deployment(lease_name="sizer-aiapi-operator")]) == (
        "sizer-aiapi-operator"
    )
    assert checks.lease_name([deployment()]) == checks.lease_name([]) == "aiapi-operator"


def test_an_aiapi_with_an_invalid_spec_has_no_pods_to_ask(aiapi: dict[str, Any]) -> None:
    refused = copy.deepcopy(aiapi)
    told = {"type": "Accepted", "status": "False", "reason": "InvalidSpec", "message": "no zone"}
    refused["status"] = {"conditions": [told]}
    found = checks.metrics([refused, aiapi])
    assert (found.result, found.message) == (
        CheckResult.OK,
        "1 AIApi (assistant), and its pods answer",
    )
    assert checks.metrics([refused]).result is CheckResult.NOTE
    assert [each.message for each in checks.needs_attention([refused])] == [
        "Accepted=False: no zone"
    ]


def test_metrics_that_do_not_reach_the_operator(aiapi: dict[str, Any]) -> None:
    assert checks.metrics([]).result is CheckResult.NOTE
    assert checks.metrics([aiapi]).result is CheckResult.OK
    aiapi["status"]["conditions"][2] |= {"status": "True", "message": "No pod answers."}
    assert checks.metrics([aiapi]).message == "shop/assistant: No pod answers."
    del aiapi["status"]
    assert "no decision was taken yet for assistant" in checks.metrics([aiapi]).message


def test_aiapis_that_ask_for_attention(aiapi: dict[str, Any]) -> None:
    (found,) = checks.needs_attention([aiapi])
    assert found.name == "shop/assistant"
    assert found.way_out == "kubectl aiapi explain assistant -n shop"


class Reviews:
    """An API server that answers access reviews."""

    namespace = "default"

    def __init__(self, *, refused: str = "", error: Exception | None = None) -> None:
        self._refused = refused
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
        return attributes["resource"] != self._refused


async def test_the_operators_account_is_asked_for_all_that_it_does() -> None:
    reader: Any = Reviews()
    found = await checks.operator_rights(reader, [deployment()])
    assert found.result is CheckResult.OK
    assert reader.users == {"system:serviceaccount:aiapi-system:aiapi"}
    assert len(reader.asked) == sum(len(right.verbs) for right in PERMISSIONS)
    resize = {"group": "", "resource": "pods", "subresource": "resize", "verb": "patch"}
    assert resize in reader.asked
    assert {"coordination.k8s.io"} == {
        each["group"] for each in reader.asked if each.get("namespace") == "aiapi-system"
    }


async def test_named_namespaces_are_asked_one_by_one_and_refusals_told() -> None:
    reader: Any = Reviews(refused="secrets")
    found = await checks.operator_rights(reader, [deployment(namespaces="shop, search")])
    assert found.result is CheckResult.PROBLEM
    assert "may not create secrets" in found.message
    assert {"shop", "search"} < {each.get("namespace") for each in reader.asked}


async def test_reviews_that_may_not_be_made_are_not_a_problem() -> None:
    reader: Any = Reviews(error=Forbidden("may not"))
    assert (await checks.operator_rights(reader, [deployment()])).result is CheckResult.UNKNOWN
    away: Any = Reviews(error=Unavailable("away"))
    with pytest.raises(Unavailable):
        await checks.operator_rights(away, [])
