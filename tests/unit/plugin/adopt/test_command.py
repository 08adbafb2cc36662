"""``kubectl aiapi adopt``: what it says about wrong input, and what it applies."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from aiapi_operator.plugin.adopt import command
from aiapi_operator.plugin.adopt.choices import Choices
from aiapi_operator.plugin.adopt.related import Belongings, find
from aiapi_operator.plugin.errors import CommandError

Run = Callable[..., Result]


def deployment(**container: Any) -> dict[str, Any]:
    image = {"name": "web", "image": "registry.example.com/web:1"}
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{**image, **container}]},
            },
        },
    }


UVICORN = {"command": ["uvicorn", "web:app"]}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def to_file(*objects: dict[str, Any]) -> str:
        path = tmp_path / "objects.yaml"
        path.write_text(yaml.safe_dump_all(objects))
        return str(path)

    return to_file


def test_the_aiapi_is_printed(run: Run, write: Callable[..., str]) -> None:
    result = run("adopt", "deployment/web", "-f", write(deployment(**UVICORN)))
    assert result.exit_code == 0, result.output
    assert yaml.safe_load(result.stdout)["spec"]["app"] == "web:app"


def test_options_override_what_is_found(run: Run, write: Callable[..., str]) -> None:
    words = ("--name", "other", "--app", "a.b:c", "--mode", "Auto")
    result = run("adopt", "deploy/web", "-f", write(deployment()), *words)
    found = yaml.safe_load(result.stdout)
    assert found["metadata"]["name"] == "other"
    assert (found["spec"]["app"], found["spec"]["scaling"]["mode"]) == ("a.b:c", "Auto")
    line = "gunicorn web:app -w 4 --threads 2"
    result = run("adopt", "deploy/web", "-f", write(deployment()), "--command", line)
    assert {"name": "AIAPI_THREADS", "value": "2"} in yaml.safe_load(result.stdout)["spec"]["env"]


def test_a_list_of_objects_is_read(run: Run, write: Callable[..., str]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [deployment(**UVICORN)]}
    assert run("adopt", "deployment/web", "-f", write(listed)).exit_code == 0


WRONG: dict[str, tuple[tuple[str, ...], dict[str, Any], int, str]] = {
    "no kind": (("web",), UVICORN, 2, "use a form such as deployment/NAME"),
    "another kind": (("statefulset/web",), UVICORN, 2, "is not a Deployment"),
    "another name": (("deployment/wbe",), UVICORN, 5, "not found in .* It has: web"),
    "no command": (("deployment/web",), {}, 2, "the command is in the image"),
    "a script": (("deployment/web",), {"command": ["run.sh"]}, 2, "'run.sh' names no app"),
    "no image": (("deployment/web",), {**UVICORN, "image": ""}, 2, "image is empty"),
    "no such container": (
        ("deployment/web", "--container", "api"),
        UVICORN,
        2,
        "no container 'api'; --container is one of: web",
    ),
    "an invalid name": (("deployment/web", "--name", "9"), UVICORN, 2, "Choose one with --name"),
    "its own name": (
        ("deployment/web", "--name", "web"),
        UVICORN,
        2,
        "would create a Deployment web, which exists",
    ),
    "an invalid app": (("deployment/web", "--app", "web"), {}, 2, "spec.app: .*module:attribute"),
    "dry run alone": (("deployment/web", "--dry-run"), UVICORN, 2, "--dry-run is for --apply"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_wrong_input_is_explained(
    run: Run, write: Callable[..., str], case: tuple[tuple[str, ...], dict[str, Any], int, str]
) -> None:
    words, container, code, message = case
    result = run("adopt", *words, "-f", write(deployment(**container)))
    assert result.exit_code == code, result.output
    flat = " ".join(result.output.split())
    assert re.search(message, flat), flat


def belongings(*others: dict[str, Any], **changes: Any) -> Belongings:
    web = deployment(**UVICORN)
    web["spec"]["template"]["spec"] |= changes
    return find(web, [web, *others])


def test_a_volume_of_the_operator_is_not_replaced() -> None:
    taken = belongings(volumes=[{"name": "admin-token", "emptyDir": {}}])
    with pytest.raises(CommandError, match="rename it in the Deployment"):
        command.converted(taken, Choices())


def test_kinds_that_may_not_be_listed_are_named() -> None:
    given = find(deployment(**UVICORN), [], unread=("scaledobjects were not read",))
    remarks = command.converted(given, Choices()).remarks
    assert any(each.reason == "scaledobjects were not read" for each in remarks)


def test_apply_reports_what_it_did() -> None:
    adoption = command.converted(belongings(), Choices())
    lines = command.summary_lines(adoption.manifest, adoption, dry_run=True)
    assert lines[0] == (
        "aiapi/web-aiapi: applied in mode Recommend (dry run); Deployment web is unchanged"
    )
    assert "fields were not carried over" in lines[-2]


def test_what_the_operator_refuses_by_default_is_named() -> None:
    adoption = command.converted(belongings(serviceAccountName="web"), Choices())
    (note,) = (
        line
        for line in command.summary_lines(adoption.manifest, adoption, dry_run=False)
        if "forbidden" in line
    )
    assert note == (
        "note: spec.podTemplate.spec.serviceAccountName: forbidden: remove it, or have an"
        " administrator allow it with podTemplatePolicy.serviceAccounts in the values of the"
        " operator's chart"
    )
    assert any(each.near == "podTemplate" and note.endswith(each.text) for each in adoption.remarks)


def service(target: object) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": target}]},
    }


@pytest.mark.parametrize(("target", "fits"), [("http", True), (8000, True), (8080, False)])
def test_a_service_that_would_miss_the_new_pods_is_named(target: object, fits: bool) -> None:
    remarks = command.converted(belongings(service(target)), Choices()).remarks
    wrong = [each for each in remarks if each.field.endswith(".targetPort")]
    assert bool(wrong) != fits


def test_an_autoscaler_of_another_workload_is_ignored() -> None:
    other = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": {"kind": "StatefulSet", "name": "web"}, "maxReplicas": 99},
    }
    spec = command.converted(belongings(other), Choices()).manifest["spec"]
    assert spec["replicas"] == {"min": 1, "max": 1}
