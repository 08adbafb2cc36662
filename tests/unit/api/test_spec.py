"""The models: defaults, immutability, and camelCase notation."""

import pytest
from pydantic import ValidationError

from aiapi_operator.api import AIApi, AIApiSpec, Mode


def test_an_aiapi_without_spec_is_complete() -> None:
    spec = AIApi.model_validate({"metadata": {"name": "a"}}).spec
    assert spec.manifest() == {
        "runtime": {"source": "Auto", "entrypoint": []},
        "env": [],
        "envFrom": [],
        "objective": {},
        "workers": {
            "min": 1,
            "max": 8,
            "cpu": "500m",
            "memory": "256Mi",
            "maxConcurrency": 0,
            "resources": "Learned",
        },
        "replicas": {"min": 2, "max": 20},
        "scaling": {
            "mode": "Auto",
            "interval": "2s",
            "scaleDown": {"workersAfter": "30s", "replicasAfter": "300s"},
            "scaleUp": {"maxReplicasPerMinute": 10},
            "toZeroAfter": "5m",
            "idle": {"ignorePaths": []},
            "schedules": [],
        },
        "cost": {
            "cpuHour": "0.031611",
            "memoryGiBHour": "0.003511",
            "currency": "USD",
            "baseline": {"replicas": 0, "workers": 0},
        },
        "strategy": {
            "maxSurge": "25%",
            "maxUnavailable": 0,
            "minReadySeconds": 2,
            "progressDeadlineSeconds": 600,
        },
        "podTemplate": {"omit": [], "metadata": {}, "spec": {"containers": []}},
    }


def test_partial_specs_get_defaults() -> None:
    spec = AIApiSpec.model_validate({"workers": {"max": 2}, "scaling": {"mode": "Recommend"}})
    assert (spec.workers.min, spec.workers.max) == (1, 2)
    assert spec.scaling.mode is Mode.RECOMMEND
    assert spec.scaling.interval == "2s"


def test_models_are_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        AIApiSpec().image = "other"  # type: ignore[misc]


def test_a_newer_api_server_may_add_metadata_and_status_fields() -> None:
    aiapi = AIApi.model_validate(
        {
            "metadata": {"name": "a", "managedFields": [{"manager": "kubectl"}]},
            "status": {"observedGeneration": 3, "load": {"latency": "412ms", "novel": "1"}},
        }
    )
    assert aiapi.status.manifest() == {
        "observedGeneration": 3,
        "load": {"latency": "412ms"},
        "conditions": [],
    }


def test_name_and_namespace() -> None:
    aiapi = AIApi.model_validate({"metadata": {"name": "a", "namespace": "prod"}})
    assert (aiapi.namespace, aiapi.name) == ("prod", "a")


@pytest.mark.parametrize(
    ("given", "latency", "first_byte"),
    [
        ({}, "800ms", None),
        ({"latency": {"threshold": "2s"}}, "2s", None),
        ({"firstByte": {}}, None, "800ms"),
        ({"latency": {"threshold": "20s"}, "firstByte": {"threshold": "1s"}}, "20s", "1s"),
    ],
)
def test_the_default_latency_applies_only_without_an_objective(
    given: dict[str, object], latency: str | None, first_byte: str | None
) -> None:
    objective = AIApiSpec.model_validate({"objective": given}).objective.effective
    assert (objective.latency.threshold if objective.latency else None) == latency
    assert (objective.first_byte.threshold if objective.first_byte else None) == first_byte
