"""Which edits of an AIApi restart its pods, and which do not."""

from dataclasses import replace
from typing import Any

import pytest
from manifests_support.samples import CONTEXT, aiapi

from aiapi_operator.manifests import deployment
from aiapi_operator.manifests.app_container import workers_of
from aiapi_operator.manifests.template_workers import ANNOTATION

OWN = {"image": "ghcr.io/shop/api:7", "app": "shop.main:app"}
Json = dict[str, Any]


def built(spec: Json, *, present: Json | None = None, **changes: Any) -> Json:
    minimum = spec.get("workers", {}).get("min", 1)
    context = replace(CONTEXT, template_workers=minimum, deployment=present, **changes)
    return deployment.build(aiapi(**spec), context)


@pytest.mark.parametrize("spec", [OWN, {}], ids=["injected", "own image"])
@pytest.mark.parametrize(
    "edit",
    [
        {"workers": {"min": 4}},
        {"workers": {"max": 3}},
        {"workers": {"resources": "Fixed"}},
        {"workers": {"maxConcurrency": 50}},
        {"replicas": {"min": 5, "max": 50}},
        {"objective": {"latency": {"percentile": 99, "threshold": "2s"}}},
        {"objective": {"firstByte": {"threshold": "300ms"}}},
        {"scaling": {"mode": "Paused", "interval": "5s", "scaleDown": {"workersAfter": "60s"}}},
        {"scaling": {"schedules": [{"start": "0 8 * * *", "duration": "1h", "minWorkers": 3}]}},
        {"strategy": {"maxSurge": 1, "minReadySeconds": 10, "progressDeadlineSeconds": 60}},
        {"cost": {"cpuHour": "1", "baseline": {"replicas": 3}}},
    ],
    ids=str,
)
def test_an_edit_of_the_size_restarts_no_pods(spec: Json, edit: Json) -> None:
    before = built(spec)
    present = {**before, "status": {"readyReplicas": 2}}
    after = built({**spec, **edit}, present=present)
    assert after["spec"]["template"] == before["spec"]["template"]


def test_a_new_deployment_starts_with_the_minimum() -> None:
    assert workers_of(built({"workers": {"min": 4}})) == 4


def test_the_next_change_of_the_template_takes_the_new_minimum() -> None:
    before = built(OWN)
    kept = built({**OWN, "workers": {"min": 4}}, present=before)
    assert workers_of(kept) == 1
    newer = {**OWN, "image": "ghcr.io/shop/api:8", "workers": {"min": 4}}
    assert workers_of(built(newer, present=kept)) == 4


def test_a_requested_restart_takes_the_new_minimum_and_keeps_it() -> None:
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-11-28T10:00:00Z"}
    present = built(OWN)
    present["spec"]["template"]["metadata"]["annotations"] = restarted
    taken = built({**OWN, "workers": {"min": 4}}, present=present)
    assert workers_of(taken) == 4
    taken["spec"]["template"]["metadata"]["annotations"] = restarted
    assert workers_of(built({**OWN, "workers": {"min": 2}}, present=taken)) == 4


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"workers": 0}', '{"workers": "x"}'])
def test_a_changed_annotation_is_ignored(text: str | None) -> None:
    present = built(OWN)
    present["metadata"]["annotations"] = {} if text is None else {ANNOTATION: text}
    assert workers_of(built({**OWN, "workers": {"min": 4}}, present=present)) == 4


def test_without_in_place_resize_the_template_has_the_wanted_workers() -> None:
    present = built(OWN, resize_in_place=False)
    after = built({**OWN, "workers": {"min": 4}}, present=present, resize_in_place=False)
    assert workers_of(after) == 4
    assert ANNOTATION not in after["metadata"]["annotations"]
