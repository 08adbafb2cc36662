"""Label and field selectors."""

from typing import Any

import pytest

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.apimachinery.selectors import (
    format_selector,
    matches_selector,
    parse_fields,
    parse_labels,
)

LABELS = {"app": "web", "tier": "front", "example.dev/x": "1"}


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=api", False),
        ("app!=api", True),
        ("missing!=x", True),
        ("app in (web, api)", True),
        ("app in (api),tier=front", False),
        ("app notin (api)", True),
        ("missing notin (a)", True),
        ("app", True),
        ("!app", False),
        ("!missing", True),
        ("example.dev/x=1", True),
        ({"app": "web"}, True),
        ({"app": "api"}, False),
    ],
)
def test_label_queries(query: Any, selected: bool) -> None:
    assert parse_labels(query)(LABELS) is selected


def test_an_invalid_label_query_is_rejected() -> None:
    with pytest.raises(ApiError, match="unable to parse requirement"):
        parse_labels("a b c")


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ("metadata.name=a", True),
        ("metadata.name!=a", False),
        ("spec.nodeName=", True),
        ("spec.nodeName!=", False),
        ("status.phase=Running,metadata.name=a", True),
        ("spec.unschedulable=false", True),
        ({"metadata.name": "b"}, False),
    ],
)
def test_field_queries(query: Any, selected: bool) -> None:
    obj = {
        "metadata": {"name": "a"},
        "spec": {"unschedulable": False},
        "status": {"phase": "Running"},
    }
    assert parse_fields(query)(obj) is selected


@pytest.mark.parametrize(
    ("selector", "selected", "text"),
    [
        (None, False, ""),
        ({}, True, ""),
        ({"matchLabels": {"app": "web"}}, True, "app=web"),
        (
            {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]},
            True,
            "app in (api,web)",
        ),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False, "!app"),
    ],
)
def test_selector_objects(selector: Any, selected: bool, text: str) -> None:
    assert matches_selector(selector, LABELS) is selected
    assert format_selector(selector) == text
