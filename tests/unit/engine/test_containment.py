"""An object contains a manifest only if an apply would change nothing."""

import json
from typing import Any

import pytest
from engine_support.world import aiapi

from aiapi_operator.api import AIApi
from aiapi_operator.engine.containment import contains
from aiapi_operator.manifests import Context, desired
from aiapi_operator.manifests.runtime import Delivery, Runtime


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"a": 1, "default": 2}, {"a": 1}),
        ({}, {"a": [], "b": {}, "c": None, "d": 0, "e": ""}),
        ({"requests": {"cpu": "1", "memory": "1Gi"}}, {"requests": {"cpu": "1000m"}}),
        ({"requests": {"cpu": 2}}, {"requests": {"cpu": "2"}}),
        ({"ports": [{"port": 80, "protocol": "TCP"}]}, {"ports": [{"port": 80}]}),
        ({"selector": {"a": "b"}}, {"selector": {"a": "b"}}),
    ],
)
def test_defaults_and_spellings_of_the_api_server_are_no_difference(
    found: Any, wanted: Any
) -> None:
    assert contains(found, wanted)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"a": 2}, {"a": 1}),
        ({}, {"a": 1}),
        ({"a": True}, {"a": 1}),
        ({"a": 0}, {"a": False}),
        ({"a": None}, {"a": {"b": 1}}),
        ({"a": [1]}, {"a": {"b": 1}}),
        ({"a": "b"}, {"a": ["b"]}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": [2, 1]}, {"a": [1, 2]}),
        ({"image": "1.0"}, {"image": "1"}),
        ({"requests": {"cpu": "900m"}}, {"requests": {"cpu": "1"}}),
        ({"requests": {}}, {"requests": {"cpu": "1"}}),
        ({"requests": {"cpu": "a lot"}}, {"requests": {"cpu": "1"}}),
        ({"selector": {"a": "b", "c": "d"}}, {"selector": {"a": "b"}}),
        ({"podSelector": {"matchLabels": {"a": "b"}}}, {"podSelector": {}}),
    ],
)
def test_whatever_an_apply_may_change_is_a_difference(found: Any, wanted: Any) -> None:
    assert not contains(found, wanted)


def test_every_child_contains_itself_and_no_edit_goes_unnoticed() -> None:
    config = Context(
        operator_namespace="aiapi-system",
        default_image="service:1",
        template_workers=1,
        resize_in_place=True,
        runtime=Runtime(image="r:1", pull_policy="Always", delivery=Delivery.INIT_CONTAINER),
    )
    spec = {"image": "shop:1", "app": "shop:app", "workers": {"min": 1, "max": 4}}
    for child in desired(AIApi.model_validate(aiapi(spec)), config):
        found = json.loads(json.dumps(child))
        assert contains(found, child)
        for edited in edits(found):
            assert not contains(edited, child), edited


def edits(value: Any) -> list[Any]:
    """Copies of a manifest, each with one value that is not empty changed."""
    if isinstance(value, dict):
        return [{**value, key: each} for key, old in value.items() for each in edits(old)]
    if isinstance(value, list):
        return [
            [*value[:at], each, *value[at + 1 :]]
            for at, old in enumerate(value)
            for each in edits(old)
        ]
    return ["edited"] if value else []
