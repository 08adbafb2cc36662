"""What a pod uses of a ResourceQuota, and what exceeds it, in the words of Kubernetes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from aiapi_sandbox.apimachinery.errors import Obj
from aiapi_sandbox.apimachinery.quantities import format_amount
from aiapi_sandbox.kinds.pod_resources import (
    Amounts,
    add,
    amounts,
    container_limits,
    container_requests,
    occupied,
    pod_limits,
)

COUNTED = ("pods", "count/pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu",
           "limits.memory")  # fmt: skip
"""The resources of a quota that are enforced."""
_COMPUTE = ("cpu", "memory")
_ZERO = Decimal(0)


def usage(pod: Obj) -> Amounts:
    """What a pod uses of a quota. One that has ended uses its object only."""
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return {"count/pods": Decimal(1)}
    requests, limits = occupied(pod), pod_limits(pod)
    used = {"count/pods": Decimal(1), "pods": Decimal(1)}
    for name in _COMPUTE:
        used[name] = used[f"requests.{name}"] = requests.get(name, _ZERO)
        used[f"limits.{name}"] = limits.get(name, _ZERO)
    return used


def used_of(hard: Mapping[str, str], pods: Iterable[Obj]) -> Amounts:
    """What the pods use of a quota's resources."""
    total = add(usage(pod) for pod in pods)
    return {name: total.get(name, _ZERO) for name in hard}


def unspecified(pod: Obj, hard: Mapping[str, str]) -> str:
    """What containers must set because the quota counts it; empty when nothing is missing."""
    missing: dict[str, list[str]] = {}
    containers = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    for name in sorted({*hard} & {*COUNTED} - {"pods", "count/pods"}):
        part, resource = name.rpartition(".")[::2]
        given = container_limits if part == "limits" else container_requests
        for container in containers:
            if resource not in given(container):
                missing.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(who))}" for name, who in missing.items())


def exceeded(name: str, hard: Mapping[str, str], used: Amounts, more: Amounts) -> str:
    """Why the quota refuses `more`; empty when it fits. Only what grows can exceed it."""
    most = amounts(hard)
    beyond = [
        each
        for each in hard
        if (more.get(each, _ZERO)) > 0 and used[each] + more[each] > most[each]
    ]
    if not beyond:
        return ""
    parts = [_listed(beyond, each) for each in (more, used, most)]
    return f"exceeded quota: {name}, requested: {parts[0]}, used: {parts[1]}, limited: {parts[2]}"


def _listed(names: Iterable[str], values: Amounts) -> str:
    return ",".join(f"{name}={format_amount(name, values[name])}" for name in sorted(names))
