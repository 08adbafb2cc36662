"""The checks of ``kubectl aiapi doctor``. Each has a result, a message and a hint."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from aiapi_operator.api.crd import crd as own_crd
from aiapi_operator.api.summary import AIApiSummary, from_manifest, parse_time
from aiapi_operator.cluster.errors import ClusterError, NotFound, Unavailable
from aiapi_operator.cluster.permissions import PERMISSIONS, OwnObject, Permission, Scope
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest

MIN_VERSION = (1, 29)
DEFAULT_LEASE = "aiapi-operator"
DEFAULT_CA = "aiapi-operator-admin-ca"
OPERATOR_LABEL = "app.kubernetes.io/name=aiapi-operator"
STALE_LEASE = 60.0
"""Seconds after the last renewal. Generous, because the clocks of two machines differ."""
_MAX_CONCURRENT = 8


class CheckResult(StrEnum):
    """The result of a check."""

    OK = "ok"
    NOTE = "note"
    """For information; nothing is wrong."""
    UNKNOWN = "unknown"
    """Could not be checked: a permission or a response is missing."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check."""

    name: str
    result: CheckResult
    message: str
    hint: str = ""
    """What to do."""

    def document(self) -> dict[str, str]:
        """The JSON form."""
        fields = {"name": self.name, "result": self.result.value, "message": self.message}
        return fields | ({"hint": self.hint} if self.hint else {})


def ok(name: str, message: str) -> Check:
    """A check that passed."""
    return Check(name=name, result=CheckResult.OK, message=message)


def problem(name: str, message: str, hint: str) -> Check:
    """A check that failed."""
    return Check(name=name, result=CheckResult.PROBLEM, message=message, hint=hint)


def note(name: str, message: str, hint: str = "") -> Check:
    """A check with information."""
    return Check(name=name, result=CheckResult.NOTE, message=message, hint=hint)


def unknown(name: str, error: ClusterError, hint: str = "") -> Check:
    """A check that could not run."""
    return Check(
        name=name,
        result=CheckResult.UNKNOWN,
        message=f"could not be checked: {error.message}",
        hint=hint or "use an account that may read this",
    )


def version(text: str) -> Check:
    """Whether the cluster is new enough."""
    name = "Kubernetes"
    numbers = text.removeprefix("v").split(".")
    found = tuple(int(part) if part.isdigit() else 0 for part in numbers[:2])
    if found < MIN_VERSION:
        oldest = ".".join(map(str, MIN_VERSION))
        return problem(name, f"{text} is older than {oldest}", "upgrade the cluster")
    return ok(name, text)


def resize(available: bool) -> Check:
    """Whether pods can be resized in place."""
    name = "In-place resize"
    if available:
        return ok(name, "pods/resize is available: CPU and memory follow the workers immediately")
    return note(
        name,
        "pods/resize is not available: requests follow the workers with a later rollout",
        "upgrade to Kubernetes 1.33 or later",
    )


def crd_version(found: Manifest | None) -> Check:
    """Whether the CustomResourceDefinition in the cluster is that of this release."""
    name = "CRD"
    if found is None:
        return problem(
            name,
            "aiapis.aiapi.dev is not installed",
            "install the chart, or kubectl apply --server-side -f crds/",
        )
    ours, theirs = _fields(own_crd()), _fields(found)
    missing, more = sorted(ours - theirs), sorted(theirs - ours)
    if missing:
        return problem(
            name,
            f"older than this program: {_some(missing)} missing",
            "apply the CRD of this release (kubectl apply --server-side -f crds/)",
        )
    if more:
        return note(
            name,
            f"newer than this program: it also has {_some(more)}",
            "update this program",
        )
    return ok(name, "matches this program")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _fields(document: Manifest) -> set[str]:
    """The paths of all fields in the served versions of a CustomResourceDefinition."""
    return {
        f"{each['name']}{path}"
        for each in document["spec"]["versions"]
        if each.get("served")
        for path in _paths(each.get("schema", {}).get("openAPIV3Schema") or {})
    }


def _paths(schema: Mapping[str, Any], at: str = "") -> Iterable[str]:
    for name, below in (schema.get("properties") or {}).items():
        yield f"{at}.{name}"
        yield from _paths(below, f"{at}.{name}")
    if items := schema.get("items"):
        yield from _paths(items, f"{at}[]")


def operator(
    deployments: list[Manifest], leases: list[Manifest], now: datetime, why: str = ""
) -> Check:
    """Whether an operator is running, and which replica leads. ``why`` its pods are not ready."""
    name = "Operator"
    ready = [d for d in deployments if (d.get("status") or {}).get("readyReplicas")]
    leader = next((lease for lease in leases if is_fresh(lease, now)), None)
    where = ", ".join(_place(d) for d in ready) or "outside this cluster"
    if leader is not None:
        return ok(name, f"running ({where}), leader: {leader['spec']['holderIdentity']}")
    if ready and not leases:
        return ok(name, f"running ({where}), without leader election")
    if deployments or leases:
        place = ", ".join(map(_place, deployments or leases))
        namespace = (deployments or leases)[0]["metadata"]["namespace"]
        return problem(
            name,
            f"installed ({place}), but no pod holds the Lease" + (f". {why}" if why else ""),
            f"kubectl -n {namespace} describe pods -l {OPERATOR_LABEL}; check their logs",
        )
    return problem(name, "not found", "install the chart charts/aiapi-operator")


def _place(manifest: Manifest) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"


def is_fresh(lease: Manifest, now: datetime) -> bool:
    """Whether an operator holds the Lease and renews it."""
    spec = lease.get("spec") or {}
    renewed = parse_time(spec.get("renewTime") or "")
    if not spec.get("holderIdentity") or renewed is None:
        return False
    return (now - renewed).total_seconds() < STALE_LEASE


def metrics(aiapis: list[Manifest]) -> Check:
    """Whether the operator gets the pods' metrics."""
    name = "Pods' metrics"
    if not aiapis:
        return note(name, "no AIApis yet", "kubectl apply -f examples/assistant.yaml")
    views = [from_manifest(item) for item in aiapis]
    for view in views:
        for condition in view.problems:
            if condition["type"] == "MetricsStale":
                message = f"{view.namespace}/{view.name}: {condition['message']}"
                return problem(name, message, condition["reason"])
    accepted = [view for view in views if not _rejected(view)]
    undecided = [view.name for view in accepted if not view.decision and not view.is_asleep]
    if undecided:
        return problem(
            name,
            f"no decision yet for {_some(undecided)}",
            "check that the operator is running; kubectl describe the AIApi",
        )
    if not accepted:
        return note(name, "no AIApi has a valid spec")
    if len(accepted) == 1:
        return ok(name, f"1 AIApi ({accepted[0].name}), {_responding(accepted)}")
    return ok(name, f"{len(accepted)} AIApis, {_responding(accepted)}")


def _responding(views: list[AIApiSummary]) -> str:
    asleep = sum(view.is_asleep for view in views)
    return f"all pods respond; {asleep} asleep" if asleep else "all pods respond"


def activators(aiapis: list[Manifest]) -> list[Check]:
    """The AIApis that may go to zero, and cannot."""
    return [
        problem(
            f"{view.namespace}/{view.name}",
            f"replicas.min is 0, but its pods do not stop. {view.cannot_sleep}",
            "kubectl get pods -A -l app.kubernetes.io/component=activator;"
            " activator.enabled in the values of the chart",
        )
        for view in map(from_manifest, aiapis)
        if view.cannot_sleep
    ]


def _rejected(view: AIApiSummary) -> bool:
    return any(condition["type"] == "Accepted" for condition in view.problems)


def needs_attention(aiapis: list[Manifest]) -> list[Check]:
    """The AIApis that need attention."""
    return [
        problem(
            f"{view.namespace}/{view.name}",
            f"{condition['type']}={condition['status']}: {condition.get('message', '')}",
            f"kubectl aiapi explain {view.name} -n {view.namespace}",
        )
        for view in map(from_manifest, aiapis)
        for condition in view.problems
        if condition["type"] != "MetricsStale"
    ]


async def operator_permissions(
    reader: Reader, deployments: list[Manifest], lease: str | None = None
) -> Check:
    """Whether the operator's service account has all permissions that it needs."""
    name, user, own = "Permissions", "", reader.namespace
    groups: tuple[str, ...] = ()
    if deployments:
        own = deployments[0]["metadata"]["namespace"]
        spec = deployments[0]["spec"]["template"]["spec"]
        account = spec.get("serviceAccountName", "default")
        user = f"system:serviceaccount:{own}:{account}"
        groups = (
            "system:authenticated",
            "system:serviceaccounts",
            f"system:serviceaccounts:{own}",
        )
    watched = _watched(deployments)
    slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def review(attributes: dict[str, str]) -> tuple[dict[str, str], bool]:
        async with slots:
            return attributes, await reader.review(attributes, user=user, groups=groups)

    names = {
        OwnObject.LEASE: lease or lease_name(deployments),
        OwnObject.ADMIN_CA: _env(deployments, "AIAPI_OPERATOR_ADMIN_CA_SECRET") or DEFAULT_CA,
    }
    reviews = [r for each in PERMISSIONS for r in _reviews(each, own, watched, names)]
    try:
        answers = await asyncio.gather(*map(review, reviews))
    except Unavailable:
        raise
    except NotFound as error:
        return unknown(name, error, "this API server has no access reviews")
    except ClusterError as error:
        return unknown(name, error, "use an account that may create subjectaccessreviews")
    account = user or "your own account (the operator runs outside this cluster)"
    denied = [f"{each['verb']} {_resource(each)}" for each, allowed in answers if not allowed]
    if denied:
        return problem(
            name,
            f"{account} may not {_some(denied)}",
            "apply the roles of this release (chart or deploy/operator.yaml)",
        )
    return ok(name, f"{account} has all {len(reviews)} permissions that the operator needs")


def _resource(attributes: Mapping[str, str]) -> str:
    sub = f"/{attributes['subresource']}" if attributes.get("subresource") else ""
    return f"{attributes['resource']}{sub}"


def lease_name(deployments: list[Manifest]) -> str:
    """The name of the operator's Lease."""
    return _env(deployments, "AIAPI_OPERATOR_LEASE_NAME") or DEFAULT_LEASE


def shards(deployments: list[Manifest]) -> int:
    """The number of shards."""
    text = _env(deployments, "AIAPI_OPERATOR_SHARDS")
    return int(text) if text.isascii() and text.isdigit() else 1


def _watched(deployments: list[Manifest]) -> tuple[str, ...]:
    """The namespaces that the operator watches; empty for all."""
    return tuple(_env(deployments, "AIAPI_OPERATOR_NAMESPACES").replace(",", " ").split())


def _env(deployments: list[Manifest], name: str) -> str:
    """An environment variable of the operator; empty if not set."""
    for deployment in deployments:
        for container in deployment["spec"]["template"]["spec"].get("containers") or ():
            for variable in container.get("env") or ():
                if variable["name"] == name:
                    return str(variable.get("value", ""))
    return ""


def _reviews(
    permission: Permission, own: str, watched: tuple[str, ...], names: Mapping[OwnObject, str]
) -> Iterable[dict[str, str]]:
    """The attributes of the access reviews for a permission."""
    where = (own,) if permission.scope is Scope.OPERATOR else watched or ("",)
    resource, _, subresource = permission.resource.partition("/")
    for namespace in where:
        for verb in sorted(permission.verbs):
            attributes = {
                "group": permission.group,
                "resource": resource,
                "subresource": subresource,
                "namespace": namespace,
                "verb": verb,
                "name": names[permission.only] if permission.only is not None else "",
            }
            yield {key: value for key, value in attributes.items() if value or key == "group"}


def now() -> datetime:
    """The current time."""
    return datetime.now(UTC)
