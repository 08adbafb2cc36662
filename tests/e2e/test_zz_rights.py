"""Least privilege, both ways: what the operator did through this whole suite, and what it may do.

It comes last (by its name), so that the others have made the operator do all that it does.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from e2e_support.operator import Operator

ROOT = Path(__file__).parents[2]
OPERATOR = "system:serviceaccount:aiapi-system:aiapi-operator"


class Right(NamedTuple):
    verb: str
    group: str
    resource: str


RARELY_USED = {
    Right("update", "aiapi.dev", "aiapis/finalizers"): "asked for by an admission plugin "
    "(OwnerReferencesPermissionEnforcement), never called",
    Right("create", "coordination.k8s.io", "leases"): "the Lease is installed with the operator; "
    "it is made anew where somebody deleted it",
    Right("patch", "", "events"): "an Event that is told again soon gets a higher count",
    Right("patch", "", "pods"): "which pods go first, when replicas go down: 300 s after the load",
}
"""Rights that a run of this suite need not use, each with its reason."""


def granted(documents: list[dict[str, Any]]) -> set[Right]:
    roles = [
        each
        for each in documents
        if each["kind"] in ("ClusterRole", "Role")
        and not each["metadata"]["name"].endswith(("-view", "-edit"))
    ]
    return {
        Right(verb, group, resource)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(audit: Path) -> set[Right]:
    found = set()
    for line in audit.read_text().splitlines():
        event = json.loads(line)
        if event["user"]["username"] != OPERATOR or "objectRef" not in event:
            continue
        target = event["objectRef"]
        name = "/".join(filter(None, (target["resource"], target.get("subresource"))))
        verbs = {event["verb"]}
        if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
            verbs.add("create")  # as the API server asks for it when an apply makes the object
        found |= {Right(verb, target.get("apiGroup", ""), name) for verb in verbs}
    return found


def test_permissions_match_the_recorded_calls(
    request: pytest.FixtureRequest, audit_log: Path | None, operator: Operator
) -> None:
    if audit_log is None:
        pytest.skip("a real cluster refuses what is not granted; its audit log is not read here")
    others = {item.path.name for item in request.session.items}
    if not {"test_reconcile.py", "test_right_sizing.py", "test_failures.py"} <= others:
        pytest.skip("the whole suite must have run before")
    may, did = granted(list(yaml.safe_load_all(operator.manifests()))), used(audit_log)
    assert did - may == set(), "called without a right to"
    assert may - did - set(RARELY_USED) == set(), "granted, and never used"
    assert set(RARELY_USED) <= may, "no longer granted"
