"""The conversion of the user's spec to numbers."""

from aiapi_operator.api import AIApiSpec
from aiapi_operator.sizing.inputs import Bounds, LatencyObjective, Mode, ObjectiveKind, Pricing
from aiapi_operator.sizing.spec import sizing_spec


def test_defaults_become_seconds_cores_and_bytes() -> None:
    found = sizing_spec(AIApiSpec())
    assert found.objective == LatencyObjective(percentile=95, threshold=0.8)
    assert found.workers == Bounds(min=1, max=8)
    assert found.replicas == Bounds(min=2, max=20)
    assert (found.worker_cpu, found.worker_memory) == (0.5, 256 * 2**20)
    assert (found.mode, found.interval) == (Mode.AUTO, 2)
    assert (found.workers_down_after, found.replicas_down_after) == (30, 300)
    assert found.max_replicas_per_minute == 10


def test_given_values_are_used() -> None:
    spec = AIApiSpec.model_validate(
        {
            "objective": {"latency": {"percentile": 99.9, "threshold": "1.5s"}},
            "workers": {"min": 2, "max": 4, "cpu": 1, "memory": "1Gi", "maxConcurrency": 40},
            "scaling": {"mode": "Recommend", "interval": "500ms"},
            "cost": {"cpuHour": "0.05", "currency": "EUR", "baseline": {"replicas": 3}},
        }
    )
    found = sizing_spec(spec)
    assert found.objective == LatencyObjective(percentile=99.9, threshold=1.5)
    assert (found.worker_cpu, found.worker_memory, found.max_concurrency) == (1, 2**30, 40)
    assert (found.mode, found.interval) == (Mode.RECOMMEND, 0.5)
    assert found.price == Pricing(
        cpu_hour=0.05,
        memory_gib_hour=0.003511,
        currency="EUR",
        baseline_replicas=3,
        baseline_workers=0,
    )


def test_each_objective_has_its_kind() -> None:
    first = {"percentile": 99, "threshold": "2s"}
    spec = AIApiSpec.model_validate({"objective": {"firstByte": first}})
    expected = LatencyObjective(percentile=99, threshold=2.0, kind=ObjectiveKind.FIRST_BYTE)
    assert sizing_spec(spec).objectives == (expected,)
    both = {"firstByte": first, "latency": {"threshold": "60s"}}
    spec = AIApiSpec.model_validate({"objective": both})
    whole = LatencyObjective(percentile=95, threshold=60.0)
    assert sizing_spec(spec).objectives == (whole, expected)
    assert expected.field == "firstByte"
