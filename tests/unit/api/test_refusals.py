"""Invalid input is rejected by the CRD at apply and, with the same result, by the models."""

from typing import Any

import pytest
from api_support.admission import patterns, refusals
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aiapi_operator.api import AIApi

Spec = dict[str, Any]


def aiapi(spec: Spec, *, name: str = "assistant") -> dict[str, Any]:
    return {
        "apiVersion": "aiapi.dev/v1alpha1",
        "kind": "AIApi",
        "metadata": {"name": name},
        "spec": spec,
    }


def latency(**fields: Any) -> Spec:
    return {"objective": {"latency": fields}}


def app_container(**fields: Any) -> Spec:
    return {"podTemplate": {"spec": {"containers": [{"name": "app", **fields}]}}}


def _without_nulls(value: Any) -> Any:
    """The API server drops nulls before it applies defaults."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def schedules(*changes: Spec, **around: Any) -> Spec:
    usual = {"start": "0 8 * * 1-5", "end": "0 20 * * 1-5", "minReplicas": 3}
    listed = [_without_nulls(usual | change) for change in changes]
    return {"scaling": {"schedules": listed}, **around}


REFUSED: dict[str, tuple[Spec, str]] = {
    "a rollout that can replace no pod": (
        {"strategy": {"maxSurge": "0%", "maxUnavailable": 0}},
        "must not both be 0, because no pod could then be replaced: set maxUnavailable to 1",
    ),
    "a surge over all pods": (
        {"strategy": {"maxSurge": "101%"}},
        "spec.strategy.maxSurge: must be a number of pods or a percentage up to 100%",
    ),
    "pods that take longer to be ready than a rollout may": (
        {"strategy": {"minReadySeconds": 600}},
        "progressDeadlineSeconds must exceed minReadySeconds: raise it",
    ),
    "an unknown default": ({"podTemplate": {"omit": ["Probes"]}}, "supported values"),
    "workers min over max": (
        {"workers": {"min": 4, "max": 2}},
        "spec.workers: workers.min must not exceed workers.max",
    ),
    "replicas default min over max": (
        {"replicas": {"max": 1}},
        "spec.replicas: replicas.min must not exceed replicas.max (replicas.min defaults to 2,",
    ),
    "a percentile as a share": (
        {"objective": {"firstByte": {"percentile": 0.95}}},
        "firstByte.percentile: percentile must be from 50 to 99.9, in percent: write 95 instead of",
    ),
    "a minimum over the default maximum": (
        {"replicas": {"min": 30}},
        "replicas.max defaults to 20): lower replicas.min or raise replicas.max",
    ),
    "no replicas": ({"replicas": {"min": 1, "max": 0}}, "spec.replicas.max: breaks minimum 1"),
    "less than zero": ({"replicas": {"min": -1}}, "spec.replicas.min: breaks minimum 0"),
    "stopped too soon": (
        {"scaling": {"toZeroAfter": "29s"}},
        "spec.scaling.toZeroAfter: must be a duration from 30s to 24h, such as 5m",
    ),
    "a path without a slash": (
        {"scaling": {"idle": {"ignorePaths": ["status"]}}},
        "must be a path that begins with /",
    ),
    "a path with * in the middle": (
        {"scaling": {"idle": {"ignorePaths": ["/a*b"]}}},
        "must be a path that begins with /",
    ),
    "no workers": ({"workers": {"min": 0}}, "spec.workers.min: breaks minimum 1"),
    "threshold zero": (
        latency(threshold="0s"),
        "spec.objective.latency.threshold: must be a duration above zero",
    ),
    "threshold negative": (
        latency(threshold="-1s"),
        "spec.objective.latency.threshold: must be a duration above zero",
    ),
    "threshold not a duration": (
        latency(threshold="fast"),
        "threshold: must be a duration above zero and at most 24h, such as 800ms",
    ),
    "percentile too low": (
        latency(percentile=49.9),
        "from 50 to 99.9, in percent: write 95 instead",
    ),
    "percentile too high": (latency(percentile=99.99), "from 50 to 99.9, in percent"),
    "first byte not a duration": (
        {"objective": {"firstByte": {"threshold": "soon"}}},
        "spec.objective.firstByte.threshold: must be a duration above zero",
    ),
    "first byte after the end": (
        {"objective": {"firstByte": {"threshold": "1s"}, "latency": {"threshold": "800ms"}}},
        "a response begins before it ends: lower firstByte.threshold or remove firstByte",
    ),
    "first byte at the end": (
        {"objective": {"firstByte": {"percentile": 90}, "latency": {}}},
        "spec.objective: firstByte.threshold must be below latency.threshold",
    ),
    "app without attribute": (
        {"app": "assistant.main"},
        "spec.app: app must be module:attribute, such as assistant.main:app",
    ),
    "app as a path": ({"app": "assistant/main.py:app"}, "app must be module:attribute"),
    "image with a space": ({"image": "ghcr.io/acme/a b"}, "image must name a container image"),
    "negative price": (
        {"cost": {"cpuHour": "-0.03"}},
        "spec.cost.cpuHour: must be a price of zero or more",
    ),
    "price as a number": ({"cost": {"cpuHour": 0.03}}, "spec.cost.cpuHour: must be of type string"),
    "unknown currency": (
        {"cost": {"currency": "usd"}},
        "spec.cost.currency: must be a three-letter",
    ),
    "unknown mode": ({"scaling": {"mode": "Sometimes"}}, "'Auto', 'Recommend', 'Paused'"),
    "interval too short": ({"scaling": {"interval": "10ms"}}, "from 500ms to 60s"),
    "interval too long": ({"scaling": {"interval": "2m"}}, "from 500ms to 60s"),
    "unknown field": ({"imgae": "x"}, "spec.imgae: unknown field"),
    "unknown nested field": (latency(treshold="1s"), "latency.treshold: unknown field"),
    "bad quantity": ({"workers": {"cpu": "lots"}}, "spec.workers.cpu: must be a Kubernetes"),
    "no cpu": ({"workers": {"cpu": "0.0"}}, "spec.workers.cpu: must be above zero"),
    "no memory": ({"workers": {"memory": 0}}, "spec.workers.memory: must be above zero"),
    "memory in thousandths": ({"workers": {"memory": "256m"}}, "write 256Mi instead of 256m"),
    "cpu as a float": ({"workers": {"cpu": 0.5}}, "spec.workers.cpu: must be of type integer or"),
    "a count as text": ({"workers": {"max": "8"}}, "spec.workers.max: must be of type integer"),
    "operator's variable": (
        {"env": [{"name": "AIAPI_WORKERS", "value": "9"}]},
        "spec.env[0]: this AIAPI_ variable is set by the operator",
    ),
    "a variable twice": (
        {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        "spec.env: duplicate",
    ),
    "value and valueFrom": (
        {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]},
        "either value or valueFrom",
    ),
    "valueFrom nothing": ({"env": [{"name": "A", "valueFrom": {}}]}, "exactly one of configMap"),
    "envFrom nothing": ({"envFrom": [{"prefix": "A_"}]}, "exactly one of configMapRef"),
    "operator's label": (
        {"podTemplate": {"metadata": {"labels": {"aiapi.dev/name": "other"}}}},
        "labels: the labels aiapi.dev/name, ",
    ),
    "command of the app": (app_container(command=["sh"]), "come from spec.image and spec.app"),
    "image of the app": (app_container(image="other"), "come from spec.image and spec.app"),
    "bad cron": (
        schedules({"start": "0 25 * * *"}),
        "spec.scaling.schedules[0].start: must be a cron expression of five fields",
    ),
    "cron with seconds": (schedules({"start": "0 0 8 * * *"}), "start: must be a cron"),
    "cron macro": (schedules({"end": "@daily"}), "schedules[0].end: must be a cron"),
    "no zone": (schedules({"timeZone": "CET DST"}), "timeZone must be an IANA"),
    "ends when it begins": (
        schedules({"end": "0 8 * * 1-5"}),
        "spec.scaling.schedules[0]: end must not be the same as start",
    ),
    "end and duration": (schedules({"duration": "1h"}), "exactly one of end and duration"),
    "neither end nor duration": (
        schedules({}, {"end": None}),
        "schedules[1]: a schedule must set exactly",
    ),
    "schedule for nothing": (schedules({"minReplicas": 0}), "must set minReplicas or minWorkers"),
    "schedule over the maximum": (
        schedules({"minReplicas": 5}, replicas={"min": 1, "max": 4}),
        "spec: minReplicas and minWorkers of scaling.schedules must not exceed",
    ),
    "unknown source of resources": (
        {"workers": {"resources": "Auto"}},
        "spec.workers.resources: supported values: ['Learned', 'Fixed']",
    ),
    "unknown source of the runtime": (
        {"runtime": {"source": "Sidecar"}},
        "spec.runtime.source: supported values: ['Auto', 'Image', 'Injected']",
    ),
    "interpreter with an argument": (
        {"runtime": {"python": "python3 -X dev"}},
        "spec.runtime.python: runtime.python must be the path or the name of an interpreter",
    ),
    "interpreter for a runtime of the image": (
        {"runtime": {"source": "Image", "python": "python3.12"}},
        "spec.runtime: runtime.python and runtime.entrypoint apply to an injected runtime",
    ),
    "entrypoint for a runtime of the image": (
        {"runtime": {"source": "Image", "entrypoint": ["/entrypoint.sh"]}},
        "remove them, or set runtime.source to Auto or Injected",
    ),
    "entrypoint as text": (
        {"runtime": {"entrypoint": "/entrypoint.sh"}},
        "spec.runtime.entrypoint: must be of type array",
    ),
    "empty entrypoint": (
        {"runtime": {"entrypoint": [""]}},
        "spec.runtime.entrypoint[0]: breaks minLength 1",
    ),
    "injected without an app": (
        {"image": "shop:1", "runtime": {"source": "Injected"}},
        "spec: runtime.source Injected requires app: set app to the ASGI app in the image",
    ),
    "launcher's variable": (
        {"env": [{"name": "AIAPI_PYTHON", "value": "/usr/bin/python3"}]},
        "use spec.workers, spec.scaling, spec.runtime or",
    ),
    "too little time to drain": (
        {"podTemplate": {"spec": {"terminationGracePeriodSeconds": 3}}},
        "terminationGracePeriodSeconds: breaks minimum 10",
    ),
}


@pytest.mark.parametrize(("spec", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_invalid_input_is_rejected_by_field_and_rule(spec: Spec, expected: str) -> None:
    assert expected in "\n".join(refusals(aiapi(spec)))
    with pytest.raises(ValidationError):
        AIApi.model_validate(aiapi(spec))


ADMITTED: dict[str, Spec] = {
    "nothing": {},
    "an image": {"image": "registry:5000/a/b@sha256:0123"},
    "nested app": {"app": "a_b.c1:factory.app"},
    "whole cores": {"workers": {"cpu": 1, "memory": "1e9"}},
    "three nines": latency(percentile=99.9, threshold="1.5s"),
    "first byte alone": {"objective": {"firstByte": {"threshold": "2s"}}},
    "first byte and end": {
        "objective": {"firstByte": {"threshold": "799ms"}, "latency": {"threshold": "0.8s"}}
    },
    "first byte at a higher percentile": {
        "objective": {"firstByte": {"percentile": 99, "threshold": "2s"}, "latency": {}}
    },
    "a floor that is the ceiling": {"replicas": {"min": 1, "max": 1}},
    "free": {"cost": {"cpuHour": "0", "memoryGiBHour": "0"}},
    "at once": {"scaling": {"scaleDown": {"workersAfter": "0s", "replicasAfter": "1h30m"}}},
    "office hours": schedules({"timeZone": "Europe/Berlin", "minWorkers": 2, "name": "office"}),
    "a night": schedules({"start": "*/30 22-23,0 * JAN-MAR,12 SUN", "end": None, "duration": "8h"}),
    "references": {
        "env": [
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}},
            {"name": "EMPTY"},
        ],
        "envFrom": [{"secretRef": {"name": "s", "optional": True}}],
    },
    "an interpreter of the image": {
        "app": "a:b",
        "runtime": {"source": "Injected", "python": "/opt/venv/bin/python", "entrypoint": ["/e"]},
    },
    "the runtime of the image": {"runtime": {"source": "Image", "python": "", "entrypoint": []}},
    "a pod of one's own": {
        "podTemplate": {
            "metadata": {"labels": {"team": "search"}},
            "spec": {
                "nodeSelector": {"disk": "fast"},
                "containers": [
                    {"name": "app", "tty": True, "resources": {"limits": {"nvidia.com/gpu": 1}}},
                    {"name": "side", "image": "side:1", "command": ["sh"]},
                ],
            },
        }
    },
}


@pytest.mark.parametrize("spec", ADMITTED.values(), ids=ADMITTED.keys())
def test_good_input_is_admitted(spec: Spec) -> None:
    assert refusals(aiapi(spec)) == []
    AIApi.model_validate(aiapi(spec))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"timeZone": "Europe/Bärlin"}, "timeZone must be an IANA"),
        ({"timeZone": "Europe/Bonn"}, "'Europe/Bonn' is not in the IANA time zone database"),
        ({"start": "0 0 30 2 *"}, "never matches any date"),
        ({"end": "0 8 * * 5-1"}, "never matches any date"),
    ],
)
def test_models_reject_what_a_pattern_cannot(change: Spec, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        AIApi.model_validate(aiapi(schedules(change)))


@pytest.mark.parametrize("name", ["a" * 53, "1st", "with.dot", "Upper", "dash-"])
def test_names_that_no_service_can_have_are_rejected(name: str) -> None:
    assert "metadata.name must have at most 52 characters" in refusals(aiapi({}, name=name))[0]
    with pytest.raises(ValidationError, match="start with a letter"):
        AIApi.model_validate(aiapi({}, name=name))


def test_the_longest_name_is_admitted() -> None:
    assert refusals(aiapi({}, name="a" * 52)) == []


# Values near every border, each allowed in some field and wrong in another.
_VALUES = st.sampled_from(
    [
        *(0, 1, 2, 7, 64, 65, 10_001, -1, 50, 99.9, 99.95, 49, True, None, [], {}),
        *("0s", "1s", "800ms", "24h", "24h1ms", "1m", "60001ms", "-1s", "1", "1.2345s"),
        *("0", "0.0", "500m", "256Mi", "1e3", "0e1", ".5", "1Ki1", "-2", "1.", "0.031611"),
        *("Image", "Injected", "/a b", ["/e"], [""]),
        *("a:b", "a.b:c.d", "a:", ":b", "é:b", "a:b\n", "USD", "usd", "Auto", "auto", ""),
    ]
)
_FIELDS = {
    "image": None,
    "app": None,
    "runtime": dict.fromkeys(("source", "python", "entrypoint")),
    "objective": {"latency": {"percentile": None, "threshold": None}},
    "workers": dict.fromkeys(("min", "max", "cpu", "memory", "maxConcurrency", "resources")),
    "replicas": {"min": None, "max": None},
    "scaling": {
        "mode": None,
        "interval": None,
        "scaleDown": {"workersAfter": None, "replicasAfter": None},
        "scaleUp": {"maxReplicasPerMinute": None},
    },
    "cost": {
        **dict.fromkeys(("cpuHour", "memoryGiBHour", "currency")),
        "baseline": {"replicas": None, "workers": None},
    },
}


def _objects(fields: Spec) -> st.SearchStrategy[Spec]:
    values = {name: _objects(below) if below else _VALUES for name, below in fields.items()}
    return st.fixed_dictionaries({}, optional=values)


def _models_take(spec: Spec) -> bool:
    try:
        AIApi.model_validate(aiapi(_without_nulls(spec)))
    except ValidationError:
        return False
    return True


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_objects(_FIELDS))
def test_crd_and_models_agree(spec: Spec) -> None:
    assert _models_take(spec) == (refusals(aiapi(spec)) == [])


def test_patterns_stay_within_the_cel_cost_budget() -> None:
    longest_request = 3 * 1024 * 1024
    found = list(patterns())
    assert len(found) > 10
    for schema, pattern in found:
        length = schema.get("maxLength", longest_request)
        assert length * 0.1 * len(pattern) * 0.25 < 9_000_000, pattern
