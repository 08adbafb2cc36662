"""The checks of ``kubectl aiapi doctor``. Each says what it found, and the way out."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from aiapi_operator.api.crd import crd as own_crd
from aiapi_operator.api.summary import AIApiSummary, from_manifest, parse_time
from aiapi_operator.cluster.errors import ClusterError, NotFound, Unavailable
from aiapi_operator.cluster.permissions import PERMISSIONS, Permission, Scope
from aiapi_operator.cluster.reader import Reader
from aiapi_operator.cluster.resources import Manifest

MIN_VERSION = (1, 29)
DEFAULT_LEASE = "aiapi-operator"
OPERATOR_LABEL = "app.kubernetes.io/name=aiapi-operator"
STALE_LEASE = 60.0
"""Seconds without a renewal after which nobody leads; two machines' clocks differ a little."""
_AT_ONCE = 8


class CheckResult(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    UNKNOWN = "unknown"
    """It could not be checked, for want of a right or of an answer."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    result: CheckResult
    message: str
    way_out: str = ""

    def document(self) -> dict[str, str]:
        """For programs."""
        told = {"name": self.name, "result": self.result.value, "message": self.message}
        return told | ({"wayOut": self.way_out} if self.way_out else {})


def ok(name: str, message: str) -> Check:
    """All is well."""
    return Check(name=name, result=CheckResult.OK, message=message)


def problem(name: str, message: str, way_out: str) -> Check:
    """Something is wrong."""
    return Check(name=name, result=CheckResult.PROBLEM, message=message, way_out=way_out)


def note(name: str, message: str, way_out: str = "") -> Check:
    """Worth knowing."""
    return Check(name=name, result=CheckResult.NOTE, message=message, way_out=way_out)


def unknown(name: str, error: ClusterError, way_out: str = "") -> Check:
    """It could not be looked at."""
    return Check(
        name=name,
        result=CheckResult.UNKNOWN,
        message=f"could not be checked: {error.message}",
        way_out=way_out or "ask with the rights to read this",
    )


def version(text: str) -> Check:
    """Whether the cluster is new enough."""
    name = "Kubernetes"
    numbers = text.removeprefix("v").split(".")
    found = tuple(int(part) if part.isdigit() else 0 for part in numbers[:2])
    if found < MIN_VERSION:
        oldest = ".".join(map(str, MIN_VERSION))
        return problem(name, f"{text} is older than {oldest}", "update the cluster")
    return ok(name, text)


def resize(there: bool) -> Check:
    """Whether pods can be resized in place."""
    name = "In-place resize"
    if there:
        return ok(name, "pods/resize is there: CPU and memory follow the workers at once")
    return note(
        name,
        "pods/resize is not there: workers change at once, requests with a rollout later",
        "Kubernetes 1.33 or later has it",
    )


def crd_version(found: Manifest | None) -> Check:
    """Whether the cluster's CustomResourceDefinition is the one this program was made with."""
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
            f"the cluster's is older than this program: it lacks {_some(missing)}",
            "apply the CRD of this release (kubectl apply --server-side -f crds/)",
        )
    if more:
        return note(
            name,
            f"the cluster's is newer than this program: it has {_some(more)}",
            "update this program",
        )
    return ok(name, "the same as this program's")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _fields(document: Manifest) -> set[str]:
    """The paths of all fields that a CustomResourceDefinition's versions know."""
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


def operator(deployments: list[Manifest], leases: list[Manifest], now: datetime) -> Check:
    """Whether an operator is there, and which one acts."""
    name = "Operator"
    ready = [d for d in deployments if (d.get("status") or {}).get("readyReplicas")]
    leader = next((lease for lease in leases if _is_fresh(lease, now)), None)
    where = ", ".join(_place(d) for d in ready) or "outside of this cluster"
    if leader is not None:
        return ok(name, f"runs ({where}); {leader['spec']['holderIdentity']} leads")
    if ready and not leases:
        return ok(name, f"runs ({where}), without leader election")
    if deployments or leases:
        place = ", ".join(map(_place, deployments or leases))
        namespace = (deployments or leases)[0]["metadata"]["namespace"]
        return problem(
            name,
            f"is installed ({place}), and does not act: no pod holds the Lease",
            f"kubectl -n {namespace} describe pods -l {OPERATOR_LABEL}, and read their logs",
        )
    return problem(
        name, "none was found: nothing is sized", "install the chart charts/aiapi-operator"
    )


def _place(manifest: Manifest) -> str:
    return f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"


def _is_fresh(lease: Manifest, now: datetime) -> bool:
    spec = lease.get("spec") or {}
    renewed = parse_time(spec.get("renewTime") or "")
    if not spec.get("holderIdentity") or renewed is None:
        return False
    return (now - renewed).total_seconds() < STALE_LEASE


def metrics(aiapis: list[Manifest]) -> Check:
    """Whether the pods' numbers reach the operator."""
    name = "Pods' metrics"
    if not aiapis:
        return note(name, "there is no AIApi yet", "kubectl apply -f examples/assistant.yaml")
    views = [from_manifest(item) for item in aiapis]
    for view in views:
        for told in view.problems:
            if told["type"] == "MetricsStale":
                return problem(
                    name, f"{view.namespace}/{view.name}: {told['message']}", told["reason"]
                )
    accepted = [view for view in views if not _refused(view)]
    untold = [view.name for view in accepted if not view.decision]
    if untold:
        return problem(
            name,
            f"no decision was taken yet for {_some(untold)}",
            "see whether the operator runs, and kubectl describe the AIApi",
        )
    if not accepted:
        return note(name, "no AIApi has a valid spec, so none has pods")
    if len(accepted) == 1:
        return ok(name, f"1 AIApi ({accepted[0].name}), and its pods answer")
    return ok(name, f"{len(accepted)} AIApis, and the pods of each answer")


def _refused(view: AIApiSummary) -> bool:
    return any(told["type"] == "Accepted" for told in view.problems)


def needs_attention(aiapis: list[Manifest]) -> list[Check]:
    """AIApis that ask for attention."""
    return [
        problem(
            f"{view.namespace}/{view.name}",
            f"{told['type']}={told['status']}: {told.get('message', '')}",
            f"kubectl aiapi explain {view.name} -n {view.namespace}",
        )
        for view in map(from_manifest, aiapis)
        for told in view.problems
        if told["type"] != "MetricsStale"
    ]


async def operator_rights(reader: Reader, deployments: list[Manifest]) -> Check:
    """Whether the operator's account may do all that the operator does."""
    name, user, own = "Rights", "", reader.namespace
    groups: tuple[str, ...] = ()
    if deployments:
        own = deployments[0]["metadata"]["namespace"]
        spec = deployments[0]["spec"]["template"]["spec"]
        account = spec.get("serviceAccountName", "default")
        user = f"system:serviceaccount:{own}:{account}"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{own}")
    watched = _watched(deployments)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def may(attributes: dict[str, str]) -> tuple[dict[str, str], bool]:
        async with slots:
            return attributes, await reader.review(attributes, user=user, groups=groups)

    questions = [q for right in PERMISSIONS for q in _questions(right, own, watched)]
    try:
        answers = await asyncio.gather(*map(may, questions))
    except Unavailable:
        raise
    except NotFound as error:
        return unknown(name, error, "this API server does not answer access reviews")
    except ClusterError as error:
        return unknown(name, error, "ask as somebody who may create subjectaccessreviews")
    whose = user or "your own account (the operator runs outside of this cluster)"
    refused = [f"{q['verb']} {_named(q)}" for q, allowed in answers if not allowed]
    if refused:
        return problem(
            name,
            f"{whose} may not {_some(refused)}",
            "apply the chart's (or deploy/operator.yaml's) roles of this release",
        )
    return ok(name, f"{whose} may do all {len(questions)} things that the operator does")


def _named(attributes: Mapping[str, str]) -> str:
    sub = f"/{attributes['subresource']}" if attributes.get("subresource") else ""
    return f"{attributes['resource']}{sub}"


def lease_name(deployments: list[Manifest]) -> str:
    """The Lease that the operator was told to hold."""
    return _told(deployments, "AIAPI_OPERATOR_LEASE_NAME") or DEFAULT_LEASE


def _watched(deployments: list[Manifest]) -> tuple[str, ...]:
    """The namespaces that the operator was told to watch; empty for all."""
    return tuple(_told(deployments, "AIAPI_OPERATOR_NAMESPACES").replace(",", " ").split())


def _told(deployments: list[Manifest], name: str) -> str:
    """A variable of the operator's; empty where there is none."""
    for deployment in deployments:
        for container in deployment["spec"]["template"]["spec"].get("containers") or ():
            for variable in container.get("env") or ():
                if variable["name"] == name:
                    return str(variable.get("value", ""))
    return ""


def _questions(right: Permission, own: str, watched: tuple[str, ...]) -> Iterable[dict[str, str]]:
    where = (own,) if right.scope is Scope.OPERATOR else watched or ("",)
    resource, _, subresource = right.resource.partition("/")
    for namespace in where:
        for verb in sorted(right.verbs):
            told = {"group": right.group, "resource": resource, "subresource": subresource}
            question = {**told, "namespace": namespace, "verb": verb}
            yield {key: value for key, value in question.items() if value or key == "group"}


def now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)
