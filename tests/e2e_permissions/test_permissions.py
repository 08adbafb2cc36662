"""Least privilege: what operator and activators may do equals their calls in the whole suite.

``make test-e2e`` runs it after the end-to-end tests, on the audit logs of all their sandboxes. A
real cluster enforces permissions, but its audit log is not available.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from e2e_support.audit import ACTIVATOR, OPERATOR, requests_of

ROOT = Path(__file__).parents[2]


class Permission(NamedTuple):
    verb: str
    group: str
    resource: str


RARELY_USED = {
    Permission("update", "aiapi.dev", "aiapis/finalizers"): "required by an admission plugin "
    "(OwnerReferencesPermissionEnforcement), never called",
    Permission(
        "create", "coordination.k8s.io", "leases"
    ): "the Lease is installed with the operator; the operator creates it only if it was deleted",
    Permission("update", "", "secrets"): "the CA of the admin ports is rotated after years",
    Permission("get", "apps", "deployments/scale"): "wake_all, run before the operator is removed "
    "without Helm, never lowers a scale",
    Permission("patch", "", "events"): "a repeated Event increases the count",
    Permission("patch", "", "pods"): "deletion cost, on a scale-down 300 s after the load",
}
"""Permissions that a run may not use, with the reason."""


def granted(documents: list[dict[str, Any]], account: str) -> set[Permission]:
    """What the roles that are bound to a service account allow."""
    bound = {
        (each["roleRef"]["kind"], each["roleRef"]["name"])
        for each in documents
        if each["kind"] in ("ClusterRoleBinding", "RoleBinding")
        and account in {subject["name"] for subject in each["subjects"]}
    }
    roles = [each for each in documents if (each["kind"], each["metadata"]["name"]) in bound]
    return {
        Permission(verb, group, resource)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(logs: list[Path], account: str) -> set[Permission]:
    found = set()
    for event in (each for log in logs for each in requests_of(account, log)):
        target = event["objectRef"]
        name = "/".join(filter(None, (target["resource"], target.get("subresource"))))
        verbs = {event["verb"]}
        if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
            verbs.add("create")  # the API server requires it when an apply creates the object
        found |= {Permission(verb, target.get("apiGroup", ""), name) for verb in verbs}
    return found


def test_permissions_match_the_recorded_calls(request: pytest.FixtureRequest) -> None:
    folder = request.config.getoption("--audit-logs")
    if folder is None:
        pytest.skip("requires --audit-logs, with the logs of a run of tests/e2e")
    logs = sorted(folder.glob("*.log"))
    documents = list(yaml.safe_load_all((ROOT / "deploy/operator.yaml").read_text()))
    for account, rarely in ((OPERATOR, set(RARELY_USED)), (ACTIVATOR, set())):
        may, did = granted(documents, account), used(logs, account)
        assert did - may == set(), f"called without permission by {account}"
        assert may - did - rarely == set(), f"granted to {account} and never used"
        assert rarely <= may, f"no longer granted to {account}"
