"""Objects are parsed from the output of kubectl, which arrives in pieces."""

import pytest

from aiapi_demo.kubectl import JsonStream
from aiapi_demo.observed import parse_quantity, read_aiapi, read_pod, service_url
from aiapi_demo.recording import Recording


@pytest.mark.parametrize(
    ("text", "value"),
    [("412ms", 0.412), ("1.5s", 1.5), ("43%", 0.43), ("7", 7.0), ("2m", 120.0), ("soon", None)],
)
def test_quantities_have_units(text: str, value: float | None) -> None:
    assert parse_quantity(text) == (None if value is None else pytest.approx(value))


def test_the_url_of_a_service_is_its_cluster_ip_or_the_sandboxs_address() -> None:
    service = {"metadata": {}, "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80}]}}
    assert service_url(service) == "http://10.0.0.7:80"
    service["metadata"] = {"annotations": {"sandbox.aiapi.dev/address": "127.96.1.2:10080"}}
    assert service_url(service) == "http://127.96.1.2:10080"


def test_an_aiapi_without_status_is_empty() -> None:
    view = read_aiapi({"metadata": {"name": "a"}})
    assert (view.wanted, view.reason, view.conditions) == (None, "", ())


def test_the_decision_and_the_conditions_are_read() -> None:
    condition = {"type": "Ready", "status": "True", "reason": "AllServe"}
    view = read_aiapi(
        {
            "status": {
                "readyReplicas": 2,
                "decision": {"workers": 3, "replicas": 2, "reason": "ScaledUp"},
                "conditions": [condition],
            }
        }
    )
    assert (view.wanted, view.ready_replicas, view.reason) == (6, 2, "ScaledUp")
    ready = view.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.message) == ("True", "")
    assert view.condition("DependencyBound") is None


def test_only_a_running_pod_has_an_address() -> None:
    pod = {
        "metadata": {"name": "a-1", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Running", "podIP": "127.64.0.1"},
    }
    view = read_pod(pod)
    assert view is not None
    assert (view.terminating, view.ready, view.address) == (True, False, "127.64.0.1")
    assert read_pod({"metadata": {"name": "a"}, "status": {"phase": "Pending"}}) is None


def test_objects_are_returned_when_they_are_complete() -> None:
    text = '{"type": "ADDED", "object": {"name": "ä"}}\n{"type": "MODIFIED"}\n'.encode()
    objects = JsonStream()
    found = [each for index in range(len(text)) for each in objects.feed(text[index : index + 1])]
    assert found == [{"type": "ADDED", "object": {"name": "ä"}}, {"type": "MODIFIED"}]


def test_only_changes_are_recorded() -> None:
    recording = Recording()
    for at, workers, status in ((0.0, 1, "False"), (1.0, 1, "False"), (2.0, 3, "True")):
        recording.update(
            read_aiapi(
                {
                    "status": {
                        "decision": {"workers": workers, "replicas": 2, "message": "why"},
                        "conditions": [{"type": "ScalingLimited", "status": status}],
                    }
                }
            ),
            at,
        )
    assert [(change.at, change.workers_before, change.workers) for change in recording.changes] == [
        (2.0, 1, 3)
    ]
    assert [(each.at, each.condition.status) for each in recording.condition_changes] == [
        (0.0, "False"),
        (2.0, "True"),
    ]
