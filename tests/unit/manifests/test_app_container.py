from dataclasses import replace
from typing import Any

import pytest
from manifests_support.samples import CONTEXT, aiapi, with_template

from aiapi_operator.api import AIApi
from aiapi_operator.manifests import Context, app_container, pod_template


def env_of(aiapi: AIApi) -> dict[str, Any]:
    container = app_container.build(aiapi, CONTEXT)
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def test_the_bundled_app_needs_no_arguments() -> None:
    container = app_container.build(aiapi(), CONTEXT)
    assert container["image"] == CONTEXT.default_image
    assert container["command"] == ["aiapi-serve"]
    assert "args" not in container


def test_the_users_image_and_app_are_used() -> None:
    container = app_container.build(aiapi(image="x:1", app="a.b:c"), CONTEXT)
    assert (container["image"], container["args"]) == ("x:1", ["a.b:c"])


def test_a_pod_starts_with_the_template_workers_and_waits_for_its_size() -> None:
    workers = {"min": 1, "max": 8, "cpu": "500m", "memory": "256Mi"}
    container = app_container.build(aiapi(workers=workers), replace(CONTEXT, template_workers=3))
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert (env["AIAPI_WORKERS"], env["AIAPI_SIZE_WAIT"]) == ("3", "10")
    assert container["resources"] == {"requests": {"cpu": "1500m", "memory": "768Mi"}}


def test_a_change_of_mode_or_limits_does_not_roll_the_pods() -> None:
    built = [
        app_container.build(aiapi(scaling={"mode": mode}, replicas={"max": most}), CONTEXT)
        for mode, most in (("Auto", 20), ("Recommend", 20), ("Paused", 40))
    ]
    assert built[0] == built[1] == built[2]


def test_draining_ends_before_the_grace_period() -> None:
    for seconds, grace in ((30, "25"), (600, "595"), (10, "5")):
        spec = with_template(terminationGracePeriodSeconds=seconds)
        assert app_container.grace_period(spec) == seconds
        assert env_of(spec)["AIAPI_GRACE"] == grace
        assert int(grace) + app_container.DRAIN_DELAY < seconds
    assert app_container.grace_period(aiapi()) == 30


@pytest.mark.parametrize(
    ("objective", "grace"),
    [
        ({"latency": {"threshold": "12s"}}, 30),
        ({"latency": {"threshold": "60s"}}, 125),
        ({"latency": {"threshold": "24h"}}, 86_400),
        ({"firstByte": {"threshold": "60s"}}, 30),
    ],
    ids=str,
)
def test_the_grace_follows_the_objective(objective: dict[str, Any], grace: int) -> None:
    spec = aiapi(objective=objective)
    assert app_container.grace_period(spec) == grace
    assert env_of(spec)["AIAPI_GRACE"] == str(grace - 5)
    fixed = with_template(terminationGracePeriodSeconds=40)
    assert app_container.grace_period(fixed) == 40


def test_user_variables_come_last_and_may_replace_pod_fields() -> None:
    variables = [{"name": "POD_NAME", "value": "mine"}, {"name": "URL", "value": "$(POD_IP)"}]
    found = app_container.build(aiapi(env=variables), CONTEXT)["env"]
    names = [variable["name"] for variable in found]
    assert names[-3:] == ["POD_IP", "POD_NAME", "URL"]
    assert len(names) == len(set(names))


def test_env_from_is_passed_on() -> None:
    sources = [{"secretRef": {"name": "keys"}, "prefix": "K_"}]
    assert app_container.build(aiapi(envFrom=sources), CONTEXT)["envFrom"] == sources


def test_probes_use_the_admin_port() -> None:
    container = app_container.build(aiapi(), CONTEXT)
    paths = {
        probe: container[f"{probe}Probe"]["httpGet"]
        for probe in ("startup", "readiness", "liveness")
    }
    assert {probe: get["path"] for probe, get in paths.items()} == {
        "startup": "/livez",
        "readiness": "/readyz",
        "liveness": "/livez",
    }
    assert {get["port"] for get in paths.values()} == {"admin"}
    assert {get["scheme"] for get in paths.values()} == {"HTTPS"}


def test_the_admin_port_serves_tls_unless_it_is_turned_off() -> None:
    def env(context: Context) -> dict[str, str]:
        variables = app_container.build(aiapi(), context)["env"]
        return {each["name"]: each.get("value", "") for each in variables}

    assert env(CONTEXT)["AIAPI_ADMIN_TLS_DIR"] == "/var/run/secrets/aiapi.dev"
    plain = replace(CONTEXT, admin_tls=False)
    assert "AIAPI_ADMIN_TLS_DIR" not in env(plain)
    container = app_container.build(aiapi(), plain)
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTP"
    assert "annotations" not in pod_template.build(aiapi(), plain)["metadata"]


def test_a_pod_template_cannot_change_the_scheme() -> None:
    probe = {"httpGet": {"path": "/", "port": 8000, "scheme": "HTTP"}, "failureThreshold": 9}
    template = with_template(
        metadata={"annotations": {"aiapi.dev/admin-scheme": "http"}},
        containers=[{"name": "app", "readinessProbe": probe}],
    )
    (app,) = pod_template.build(template, CONTEXT)["spec"]["containers"]
    assert app["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"


def test_an_in_place_resize_restarts_no_container() -> None:
    assert app_container.build(aiapi(), CONTEXT)["resizePolicy"] == [
        {"resourceName": "cpu", "restartPolicy": "NotRequired"},
        {"resourceName": "memory", "restartPolicy": "NotRequired"},
    ]
    older = app_container.build(aiapi(), replace(CONTEXT, resize_in_place=False))
    assert "resizePolicy" not in older
