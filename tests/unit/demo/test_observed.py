"""What kubectl prints is read as it is, also while half of it is still missing."""

import pytest

from aiapi_demo.kubectl import JsonStream
from aiapi_demo.observed import parse_quantity, read_aiapi, read_pod, service_url
from aiapi_demo.recording import Recording


@pytest.mark.parametrize(
    ("text", "value"),
    [("412ms", 0.412), ("1.5s", 1.5), ("43%", 0.43), ("7", 7.0), ("2m", 120.0), ("soon", None)],
)
def test_amounts_have_units(text: str, value: float | None) -> None:
    assert parse_quantity(text) == (None if value is None else pytest.approx(value))


def test_a_service_is_asked_at_its_cluster_ip_or_where_the_sandbox_says() -> None:
    service = {"metadata": {}, "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80}]}}
    assert service_url(service) == "http://10.0.0.7:80"
    service["metadata"] = {"annotations": {"sandbox.aiapi.dev/address": "127.96.1.2:10080"}}
    assert service_url(service) == "http://127.96.1.2:10080"


def test_an_aiapi_without_status_is_empty() -> None:
    view = read_aiapi({"metadata": {"name": "a"}})
    assert (view.wanted, view.reason, view.conditions) == (None, "", ())


def test_an_aiapis_decision_and_conditions_are_read() -> None:
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


def test_only_a_running_pod_can_be_asked() -> None:
    pod = {
        "metadata": {"name": "a-1", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Running", "podIP": "127.64.0.1"},
    }
    view = read_pod(pod)
    assert view is not None
    assert (view.terminating, view.ready, view.address) == (True, False, "127.64.0.1")
    assert read_pod({"metadata": {"name": "a"}, "status": {"phase": "Pending"}}) is None


def test_objects_come_out_when_they_are_complete() -> None:
    text = '{"type": "ADDED", "object": {"name": "ä"}}\n{"type": "MODIFIED"}\n'.encode()
    objects = JsonStream()
    found = [each for index in range(len(text)) for each in objects.feed(text[index : index + 1])]
    assert found == [{"type": "ADDED", "object": {"name": "ä"}}, {"type": "MODIFIED"}]


def test_only_what_changed_is_recorded() -> None:
    recording = Recording()
    for at, workers, status in ((0.0, 1, "False"), (1.0, 1, "False"), (2.0, 3, "True")):
        recording.see(
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
    assert [(each.at, each.condition.status) for each in recording.diagnoses] == [
        (0.0, "False"),
        (2.0, "True"),
    ]
