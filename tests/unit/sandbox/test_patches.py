"""JSON, merge and strategic merge patches."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.apiserver.patches import json_patch, merge_patch, strategic_patch
from aiapi_sandbox.kinds.type_schema import builtin_type

POD = builtin_type("PodSpec")
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=2), TREES, max_size=4)


def spec(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"containers": list(containers), **more}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (
            {"containers": [{"name": "a", "image": "new"}]},
            spec(
                {"name": "a", "image": "new", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}
            ),
        ),
        (
            {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}]},
            spec(
                {
                    "name": "a",
                    "image": "old",
                    "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
                },
                {"name": "b"},
            ),
        ),
        (
            {"containers": [{"name": "b", "$patch": "delete"}]},
            spec({"name": "a", "image": "old", "env": [{"name": "X", "value": "1"}]}),
        ),
        ({"containers": [{"$patch": "replace"}, {"name": "z"}]}, spec({"name": "z"})),
        (
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
            spec(
                {"name": "b"}, {"name": "a", "image": "old", "env": [{"name": "X", "value": "1"}]}
            ),
        ),
        (
            {"containers": [{"name": "a", "env": None}]},
            spec({"name": "a", "image": "old"}, {"name": "b"}),
        ),
    ],
)
def test_strategic_patches_merge_by_key(patch: dict[str, Any], expected: dict[str, Any]) -> None:
    target = spec(
        {"name": "a", "image": "old", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}
    )
    assert strategic_patch(target, patch, POD) == expected


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, [{"key": "b"}]),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": []}, []),
    ],
)
def test_atomic_lists_are_replaced(target: Any, patch: Any, expected: Any) -> None:
    assert strategic_patch(target, patch, POD)["tolerations"] == expected


def test_directives_add_to_and_delete_from_sets() -> None:
    meta = builtin_type("ObjectMeta")
    grown = strategic_patch({"finalizers": ["a"]}, {"finalizers": ["b"]}, meta)
    assert grown == {"finalizers": ["a", "b"]}
    shrunk = strategic_patch(grown, {"$deleteFromPrimitiveList/finalizers": ["a"]}, meta)
    assert shrunk == {"finalizers": ["b"]}


def test_retain_keys_drops_unlisted_fields() -> None:
    patch = {"type": "Recreate", "$retainKeys": ["type"]}
    old = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    assert strategic_patch(old, patch, builtin_type("DeploymentStrategy")) == {"type": "Recreate"}


def test_an_item_without_its_merge_key_is_rejected() -> None:
    with pytest.raises(ApiError, match="does not contain declared merge key: name"):
        strategic_patch({"containers": []}, {"containers": [{"image": "x"}]}, POD)


@given(target=OBJECTS, patch=OBJECTS)
def test_merge_patch_is_idempotent(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(target=OBJECTS)
def test_an_empty_patch_changes_nothing(target: Any) -> None:
    assert merge_patch(target, {}) == target
    assert json_patch(target, []) == target
    assert strategic_patch(target, {}, POD) == target


def test_a_failed_json_patch_test_rejects_the_patch() -> None:
    operations = [
        {"op": "test", "path": "/a", "value": 1},
        {"op": "replace", "path": "/a", "value": 2},
    ]
    assert json_patch({"a": 1}, operations) == {"a": 2}
    with pytest.raises(ApiError, match="the server rejected our request") as refused:
        json_patch({"a": 3}, operations)
    assert refused.value.status == 422
