"""Ten Deployments of the kinds that public Helm charts have: nothing is lost silently."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_support.admission import refusals

from aiapi_operator.api import AIApiSpec
from aiapi_operator.plugin.adopt.choices import Choices
from aiapi_operator.plugin.adopt.convert import Adoption, convert
from aiapi_operator.plugin.adopt.document import render
from aiapi_operator.plugin.adopt.related import find
from aiapi_operator.plugin.adopt.remarks import Remark
from aiapi_operator.plugin.adopt.validation import validate

FILES = sorted((Path(__file__).parents[3] / "data" / "adopt").glob("*.yaml"))
Objects = list[dict[str, Any]]

IRRELEVANT = (
    "apiVersion",
    "kind",
    "status",
    "metadata.uid",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "metadata.annotations[deployment.kubernetes.io/revision]",
    "spec.selector",
    "spec.scaleTargetRef",
    "spec.template.metadata.creationTimestamp",
    "spec.template.spec.restartPolicy",
    "spec.template.spec.dnsPolicy",
    "spec.template.spec.schedulerName",
    "spec.template.spec.containers[].terminationMessagePath",
    "spec.template.spec.containers[].terminationMessagePolicy",
)
"""What the API server or a controller writes, defaults of Kubernetes, and references between the
objects that are converted."""
CONVERTED = ("Deployment", "HorizontalPodAutoscaler", "ScaledObject", "PodDisruptionBudget")


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def objects(request: pytest.FixtureRequest) -> Objects:
    return list(yaml.safe_load_all(request.param.read_text()))


def deployment_of(objects: Objects) -> dict[str, Any]:
    return next(each for each in objects if each["kind"] == "Deployment")


def adopted(objects: Objects) -> Adoption:
    return convert(find(deployment_of(objects), objects), Choices())


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every scalar, with the names on its path. Items of lists are ``[]``."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(value, list) and value:
        for item in value:
            yield from leaves(item, (*path, "[]"))
    else:
        yield path, value


def text_of(path: tuple[str, ...]) -> str:
    """The path as remarks write it: keys of labels and annotations in brackets."""
    text = ""
    for at, part in enumerate(path):
        in_map = at and path[at - 1] in ("labels", "annotations")
        text += "[]" if part == "[]" else f"[{part}]" if in_map else f".{part}"
    return text.removeprefix(".")


def unnamed(text: str) -> str:
    """A path without the names of list items and keys."""
    return re.sub(r"\[[^\]]*\]", "[]", text)


def names(path: tuple[str, ...]) -> tuple[str, ...]:
    """The last two names of a path, by which a value is found again in the output."""
    last = tuple(part for part in path if part != "[]")[-2:]
    return ("spec", "image") if last == ("containers", "image") else last


def is_in(remark: Remark, path: tuple[str, ...], value: Any) -> bool:
    """Whether the comment names the field, or an object around it together with the value."""
    here, there = unnamed(text_of(path)), unnamed(remark.field)
    if here == there or here.startswith((f"{there}.", f"{there}[")):
        inside = (shown(value), json.dumps(value, ensure_ascii=False))
        return remark.value is None or here == there or any(text in remark.text for text in inside)
    return False


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def lost(objects: Objects, adoption: Adoption) -> list[str]:
    """Fields of the input that are neither in the AIApi nor in a comment."""
    kept = {(names(path), shown(value)) for path, value in leaves(adoption.manifest)}
    missing = []
    for each in objects:
        if each["kind"] not in CONVERTED or each["metadata"]["name"].startswith("keda-hpa-"):
            continue
        title = f"{each['kind']} {each['metadata']['name']}"
        remarks = [remark for remark in adoption.remarks if remark.origin == title]
        for path, value in leaves(each):
            where = text_of(path)
            if any(where == one or where.startswith((f"{one}.", f"{one}[")) for one in IRRELEVANT):
                continue
            if each["kind"] != "Deployment" and path in (
                ("metadata", "name"),
                ("metadata", "namespace"),
            ):
                continue
            found = (names(path), shown(value)) in kept
            if not found and not any(is_in(remark, path, value) for remark in remarks):
                missing.append(f"{title}: {where} = {value!r}")
    return missing


def test_there_are_ten_deployments() -> None:
    assert len(FILES) == 10


def test_every_field_is_in_the_aiapi_or_in_a_comment(objects: Objects) -> None:
    assert lost(objects, adopted(objects)) == []


def test_the_check_finds_a_field_that_is_lost(objects: Objects) -> None:
    adoption = adopted(objects)
    del adoption.manifest["spec"]["image"]
    assert any(".image = " in each for each in lost(objects, adoption))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every object in a value, except selectors and references between objects."""
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list) and key not in ("selector", "scaleTargetRef", "status"):
            yield from places(item, (*path, key))


def test_a_field_of_a_later_kubernetes_is_not_lost(objects: Objects) -> None:
    """An unknown field in any object of the input, whatever it is."""
    tried = 0
    for at, each in enumerate(objects):
        if each["kind"] not in CONVERTED or each["metadata"]["name"].startswith("keda-hpa-"):
            continue
        for path in places(each):
            if path == ("metadata",) and each["kind"] != "Deployment":
                continue  # an autoscaler's own metadata ends with it
            changed = copy.deepcopy(objects)
            node = changed[at]
            for key in path:
                node = node[key]
            node["futureField"] = "seventeen"
            assert lost(changed, adopted(changed)) == []
            tried += 1
    assert tried > 10


def without_runtime(manifest: dict[str, Any]) -> dict[str, Any]:
    """The AIApi without spec.runtime where the CRD does not have it."""
    known = "runtime" in AIApiSpec.model_fields
    spec = {k: v for k, v in manifest["spec"].items() if known or k != "runtime"}
    return {**manifest, "spec": spec}


def test_the_aiapi_is_valid_for_the_models_and_the_crd(objects: Objects) -> None:
    adoption = adopted(objects)
    validate(adoption.manifest)
    assert refusals(without_runtime(adoption.manifest)) == []


def test_the_document_is_the_aiapi_with_comments_only(objects: Objects) -> None:
    adoption = adopted(objects)
    text = render(adoption)
    assert yaml.safe_load(text) == adoption.manifest
    comments = squeezed("".join(line for line in text.splitlines() if "#" in line))
    for remark in adoption.remarks:
        assert squeezed(remark.text) in comments


def squeezed(text: str) -> str:
    """The text without white space and the marks of comments, which depend on the line width."""
    return re.sub(r"[\s#]", "", text)


APPS = {
    "uvicorn-hpa-cpu": "chat.main:app",
    "gunicorn-config-file": "retriever.asgi:application",
    "fastapi-run-migrations": "app.main:app",
    "hypercorn-keda-cron": "search.app:api",
    "granian-gpu": "embeddings.api:create_app",
    "python-module-sidecars": "agent.api.main:app",
    "shell-line-external-metrics": "gateway.main:app",
    "entrypoint-poetry-keda-zero": "rag.app:app",
    "image-entrypoint-args": "tools.server:app",
    "gunicorn-wsgi-hardened": "desk.wsgi:application",
}
BOUNDS = {
    "uvicorn-hpa-cpu": (3, 12),
    "gunicorn-config-file": (2, 10),
    "fastapi-run-migrations": (2, 2),
    "hypercorn-keda-cron": (2, 15),
    "granian-gpu": (1, 1),
    "python-module-sidecars": (2, 4),
    "shell-line-external-metrics": (1, 30),
    "entrypoint-poetry-keda-zero": (1, 100),
    "image-entrypoint-args": (2, 6),
    "gunicorn-wsgi-hardened": (2, 2),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_app_and_bounds(path: Path) -> None:
    spec = adopted(list(yaml.safe_load_all(path.read_text()))).manifest["spec"]
    assert spec["app"] == APPS[path.stem]
    assert (spec["replicas"]["min"], spec["replicas"]["max"]) == BOUNDS[path.stem]
    assert spec["scaling"]["mode"] == "Recommend"


def test_the_new_pods_match_no_selector_of_the_old_objects(objects: Objects) -> None:
    """Otherwise the Service would send them traffic as soon as they exist."""
    adoption = adopted(objects)
    labels = {
        **adoption.manifest["spec"]["podTemplate"]["metadata"]["labels"],
        "app.kubernetes.io/name": "aiapi",
        "app.kubernetes.io/instance": adoption.name,
    }
    for each in objects:
        selector = each["spec"].get("selector") or {}
        wanted = selector.get("matchLabels", selector if each["kind"] == "Service" else {})
        assert not wanted or not wanted.items() <= labels.items()
