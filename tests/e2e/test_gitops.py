"""An AIApi that a GitOps tool applied stays equal to Git, whatever the operator does."""

import json
from typing import Any

from e2e_support.cluster import CHILDREN, Cluster
from e2e_support.kubectl import eventually

TOOL = "gitops-tool"


def managed_fields(cluster: Cluster, name: str) -> dict[str, dict[str, Any]]:
    """The fields of an AIApi by their manager."""
    shown = cluster.kubectl("get", "aiapi", name, "--show-managed-fields", "-o", "json")
    entries = json.loads(shown)["metadata"]["managedFields"]
    return {each["manager"]: each["fieldsV1"] for each in entries}


def test_the_operator_changes_nothing_that_is_in_git(cluster: Cluster) -> None:
    in_git = {
        "apiVersion": "aiapi.dev/v1alpha1",
        "kind": "AIApi",
        "metadata": {"name": "a"},
        "spec": {"app": "assistant.llm:app", "image": cluster.image, "replicas": {"max": 4}},
    }

    def sync(*options: str) -> str:
        command = ("apply", "--server-side", f"--field-manager={TOOL}", *options, "-f", "-")
        return str(cluster.kubectl(*command, stdin=json.dumps(in_git)))

    sync()
    cluster.wait_ready("a")
    cluster.kubectl("scale", "aiapi", "a", "--replicas=3")
    eventually(
        lambda: cluster.status("a").get("readyReplicas") == 3, within=60, what="3 pods are ready"
    )
    before = cluster.aiapi("a")
    sync()
    after = cluster.aiapi("a")
    assert after["spec"] == before["spec"]
    assert after["spec"]["replicas"] == {"min": 3, "max": 4}
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    managed = managed_fields(cluster, "a")
    assert set(managed["aiapi-operator"]) == {"f:status"}
    assert "f:min" not in managed[TOOL]["f:spec"]["f:replicas"]


def test_children_have_no_mark_of_the_tool_and_one_owner(cluster: Cluster) -> None:
    cluster.apply("a", app="assistant.llm:app", replicas={"min": 1, "max": 4})
    cluster.wait_ready("a")
    tracking = {"argocd.argoproj.io/tracking-id": "apis:aiapi.dev/AIApi:apis/a"}
    labels = {"kustomize.toolkit.fluxcd.io/name": "apis"}
    mark = json.dumps({"metadata": {"annotations": tracking, "labels": labels}})
    cluster.kubectl("patch", "aiapi", "a", "--type=merge", "-p", mark)
    cluster.kubectl("delete", "service", cluster.children("a")["service"]["metadata"]["name"])
    eventually(lambda: "service" in cluster.children("a"), within=10, what="the Service is back")
    children = cluster.children("a")
    assert set(children) == set(CHILDREN)
    for kind, child in children.items():
        assert not tracking.keys() & child["metadata"].get("annotations", {}).keys(), kind
        assert not labels.keys() & child["metadata"]["labels"].keys(), kind
        assert len(child["metadata"]["ownerReferences"]) == 1, kind
