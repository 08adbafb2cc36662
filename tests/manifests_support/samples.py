"""AIApis for tests: a given one, and any valid one."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import Context
from aiapi_operator.manifests.runtime import Delivery, Runtime

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No deadline, for busy machines."""

RUNTIME = Runtime(
    image="ghcr.io/aiapi-dev/runtime:0.1.0",
    pull_policy="IfNotPresent",
    delivery=Delivery.IMAGE_VOLUME,
)
CONTEXT = Context(
    operator_namespace="aiapi-system",
    default_image="ghcr.io/aiapi-dev/service:0.1.0",
    template_workers=1,
    resize_in_place=True,
    runtime=RUNTIME,
)


def aiapi(*, name: str = "assistant", **spec: Any) -> AIApi:
    """An AIApi with this spec."""
    metadata = {"name": name, "namespace": "prod", "uid": "6d0f"}
    return AIApi.model_validate({"metadata": metadata, "spec": spec})


def with_template(*, metadata: dict[str, Any] | None = None, **spec: Any) -> AIApi:
    """An AIApi with this podTemplate."""
    return aiapi(podTemplate={"metadata": metadata or {}, "spec": spec})


_WORDS = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
_VARIABLES = st.from_regex(r"[A-Z][A-Z0-9_]{0,15}", fullmatch=True).filter(
    lambda name: not name.startswith("AIAPI_")
)
_ENV = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": _VARIABLES}, optional={"value": st.text(max_size=20)}),
        st.fixed_dictionaries(
            {
                "name": _VARIABLES,
                "valueFrom": st.fixed_dictionaries(
                    {"secretKeyRef": st.fixed_dictionaries({"name": _WORDS, "key": _WORDS})}
                ),
            }
        ),
    ),
    max_size=4,
    unique_by=lambda variable: variable["name"],
)
_ENV_FROM = st.lists(
    st.fixed_dictionaries({"configMapRef": st.fixed_dictionaries({"name": _WORDS})}), max_size=2
)
_CONTAINERS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"name": st.just("app")},
            optional={
                "env": _ENV,
                "tty": st.booleans(),
                "resources": st.just({"limits": {"nvidia.com/gpu": "1"}}),
                "volumeMounts": st.just([{"name": "models", "mountPath": "/models"}]),
                "readinessProbe": st.just({"failureThreshold": 9}),
            },
        ),
        st.fixed_dictionaries(
            {
                "name": _WORDS.filter(lambda name: name != "app"),
                "image": _WORDS,
                "securityContext": st.just(
                    {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
                ),
            }
        ),
    ),
    max_size=3,
    unique_by=lambda container: container["name"],
)
_LABELS = st.dictionaries(_WORDS.map(lambda word: f"acme.dev/{word}"), _WORDS, max_size=3)
_POD_TEMPLATE = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"labels": _LABELS, "annotations": _LABELS}),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": _CONTAINERS,
                "nodeSelector": _LABELS,
                "terminationGracePeriodSeconds": st.integers(10, 3600),
                "priorityClassName": _WORDS,
                "volumes": st.just([{"name": "models", "emptyDir": {}}]),
                "tolerations": st.just([{"key": "gpu", "operator": "Exists"}]),
                "topologySpreadConstraints": st.none(),
            },
        ),
    },
)
_BOUNDS = st.tuples(st.integers(1, 64), st.integers(1, 64)).map(
    lambda pair: {"min": min(pair), "max": max(pair)}
)
_WORKERS = st.tuples(
    _BOUNDS,
    st.fixed_dictionaries(
        {},
        optional={
            "cpu": st.sampled_from(["500m", "2", 1, "0.25", "1e0", "100n"]),
            "memory": st.sampled_from(["256Mi", "1Gi", "1.5Gi", 1000, "1e8"]),
        },
    ),
).map(lambda parts: {**parts[0], **parts[1]})
_SPECS = st.fixed_dictionaries(
    {},
    optional={
        "image": st.just("ghcr.io/acme/assistant:1.4"),
        "app": st.just("assistant.main:app"),
        "runtime": st.fixed_dictionaries({}, optional={"python": st.just("/opt/venv/bin/python")}),
        "env": _ENV,
        "envFrom": _ENV_FROM,
        "workers": _WORKERS,
        "replicas": _BOUNDS,
        "scaling": st.fixed_dictionaries(
            {"mode": st.sampled_from(["Auto", "Recommend", "Paused"])}
        ),
        "podTemplate": _POD_TEMPLATE,
    },
)
_NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True)

aiapis = st.builds(lambda name, spec: aiapi(name=name, **spec), _NAMES, _SPECS)
contexts = st.builds(
    Context,
    operator_namespace=_WORDS,
    default_image=st.just("ghcr.io/aiapi-dev/service:0.1.0"),
    template_workers=st.integers(1, 64),
    resize_in_place=st.booleans(),
    runtime=st.builds(
        Runtime,
        image=st.just(RUNTIME.image),
        pull_policy=st.sampled_from(["Always", "IfNotPresent", "Never"]),
        delivery=st.sampled_from(Delivery),
    ),
)
