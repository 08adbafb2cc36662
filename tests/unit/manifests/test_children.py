"""Properties of the children of every valid AIApi."""

import copy
import json
import re
from typing import Any

from hypothesis import given
from manifests_support.kubernetes_types import mismatches
from manifests_support.pod_security import violations
from manifests_support.samples import CONTEXT, aiapi, aiapis, contexts, patient

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import Context, desired, secret
from aiapi_operator.manifests.secret import AdminSecret

ORDER = ["ServiceAccount", "Service", "NetworkPolicy", "PodDisruptionBudget", "Deployment"]


def all_children(aiapi: AIApi, context: Context) -> list[dict[str, Any]]:
    return [secret.build(aiapi, AdminSecret(token="token")), *desired(aiapi, context)]


def labels_in(node: Any) -> list[dict[str, str]]:
    """All maps of labels and selectors in a manifest."""
    if isinstance(node, list):
        return [found for item in node for found in labels_in(item)]
    if not isinstance(node, dict):
        return []
    here = [node[key] for key in ("labels", "matchLabels") if key in node]
    return here + [found for value in node.values() for found in labels_in(value)]


def test_children_are_ordered_by_dependency() -> None:
    assert [child["kind"] for child in desired(aiapi(), CONTEXT)] == ORDER


@patient
@given(aiapis, contexts)
def test_every_field_exists_in_kubernetes(aiapi: AIApi, context: Context) -> None:
    for child in all_children(aiapi, context):
        assert mismatches(child) == []
        json.dumps(child)


@patient
@given(aiapis, contexts)
def test_pods_meet_the_restricted_standard(aiapi: AIApi, context: Context) -> None:
    pod = desired(aiapi, context)[-1]["spec"]["template"]["spec"]
    assert violations(pod) == []


@patient
@given(aiapis, contexts)
def test_children_are_deterministic(aiapi: AIApi, context: Context) -> None:
    first = json.dumps(all_children(aiapi, context))
    again = AIApi.model_validate(copy.deepcopy(aiapi.model_dump(by_alias=True, exclude_unset=True)))
    assert json.dumps(all_children(again, context)) == first


@patient
@given(aiapis, contexts)
def test_names_labels_and_owner_references_are_valid(aiapi: AIApi, context: Context) -> None:
    for child in all_children(aiapi, context):
        metadata = child["metadata"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,63}[a-z0-9])?", metadata["name"])
        assert metadata["namespace"] == aiapi.namespace
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("AIApi", aiapi.name, "6d0f")
        assert owner["controller"] is True
        for labels in labels_in(child):
            for key, value in labels.items():
                assert re.fullmatch(r"([a-z0-9.-]{1,253}/)?[\w.-]{1,63}", key)
                assert re.fullmatch(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", value)


@patient
@given(aiapis, contexts)
def test_the_deployment_sets_no_replicas(aiapi: AIApi, context: Context) -> None:
    assert "replicas" not in desired(aiapi, context)[-1]["spec"]


def test_the_longest_name_fits_with_suffixes() -> None:
    for child in all_children(aiapi(name="a" * 52), CONTEXT):
        assert len(child["metadata"]["name"]) <= 64
    service = desired(aiapi(name="a" * 52), CONTEXT)[1]
    assert len(service["metadata"]["name"]) <= 63
