"""What a worker requests: as learned, or at most the spec while nodes lack room."""

from typing import Any

import pytest
from manifests_support.samples import aiapi

from aiapi_operator.engine.pod_requests import RequestCapState, worker_request

MIB = 2**20
SPEC = aiapi(workers={"cpu": "500m", "memory": "256Mi"}).spec.workers


def requested(cap: RequestCapState, now: float, *, is_refused: bool = False, **learned: Any) -> Any:
    """CPU in cores and memory in MiB."""
    known = learned.get("worker_cpu", 0.0), learned.get("worker_memory", 0)
    found = worker_request(cap, SPEC, known, is_refused=is_refused, now=now)
    return found.cpu, found.memory / MIB


def test_the_spec_is_the_initial_value() -> None:
    assert requested(RequestCapState(), 0.0) == (0.5, 256)
    assert requested(RequestCapState(), 0.0, worker_cpu=0.7, worker_memory=300 * MIB) == (0.7, 300)


@pytest.mark.parametrize(
    ("learned", "capped"),
    [
        ({"worker_cpu": 0.7}, (0.5, 256)),
        ({"worker_memory": 300 * MIB}, (0.5, 256)),
        ({"worker_cpu": 0.7, "worker_memory": 200 * MIB}, (0.5, 200)),
    ],
)
def test_a_refusal_caps_requests_at_the_spec_for_five_minutes(
    learned: dict[str, Any], capped: tuple[float, float]
) -> None:
    cap = RequestCapState()
    wanted = requested(cap, 0.0, **learned)
    assert requested(cap, 100.0, is_refused=True, **learned) == capped
    assert requested(cap, 399.9, **learned) == capped
    assert requested(cap, 400.0, **learned) == wanted


def test_a_refusal_of_the_spec_itself_caps_nothing() -> None:
    cap = RequestCapState()
    assert requested(cap, 100.0, is_refused=True, worker_cpu=0.4) == (0.4, 256)
    assert cap.until == 0.0
