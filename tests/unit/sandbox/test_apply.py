"""Server-side apply: ownership, conflicts and removal of fields."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.apiserver.field_sets import (
    all_fields,
    applied_fields,
    from_fields_v1,
    to_fields_v1,
)
from aiapi_sandbox.apiserver.managed_fields import FieldManager, UpdateTracker
from aiapi_sandbox.apiserver.server_side_apply import ApplyTracker, apply
from aiapi_sandbox.kinds.type_schema import builtin_type

DEPLOYMENT = builtin_type("Deployment")
NAMES = st.sampled_from(["a", "b", "c"])
ITEMS = st.dictionaries(
    NAMES, st.fixed_dictionaries({}, optional={"image": NAMES, "workingDir": NAMES}), max_size=3
)


def config(containers: dict[str, dict[str, Any]], **labels: str) -> dict[str, Any]:
    listed = [{"name": name, **rest} for name, rest in containers.items()]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": labels},
        "spec": {"template": {"spec": {"containers": listed}}},
    }


def applied(
    live: dict[str, Any] | None,
    wanted: dict[str, Any],
    by: str,
    *,
    force: bool = False,
    at: str = "t1",
) -> dict[str, Any]:
    manager = FieldManager("Apply", by, "apps/v1")
    merged, managers = apply(
        live, wanted, schema=DEPLOYMENT, manager=manager, force=force, has_status_subresource=True
    )
    ApplyTracker(manager, managers, at).track(merged, live)
    return merged


def containers(obj: dict[str, Any]) -> dict[str, Any]:
    listed = obj["spec"]["template"]["spec"].get("containers", [])
    return {item["name"]: {k: v for k, v in item.items() if k != "name"} for item in listed}


def owners(obj: dict[str, Any]) -> set[str]:
    return {entry["manager"] for entry in obj["metadata"].get("managedFields", ())}


def test_two_managers_each_own_one_list_item() -> None:
    one = applied(None, config({"a": {"image": "1"}}), "one")
    both = applied(one, config({"b": {"image": "2"}}), "two")
    assert containers(both) == {"a": {"image": "1"}, "b": {"image": "2"}}
    alone = applied(both, config({}), "one")
    assert containers(alone) == {"b": {"image": "2"}}


def test_a_shared_field_is_kept_until_both_managers_drop_it() -> None:
    live = applied(None, config({}, x="1"), "one")
    live = applied(live, config({}, x="1"), "two")
    live = applied(live, config({}), "one")
    assert live["metadata"]["labels"] == {"x": "1"}
    live = applied(live, config({}), "two")
    assert not live["metadata"].get("labels")


def test_a_different_value_conflicts_unless_forced() -> None:
    live = applied(None, config({"a": {"image": "1"}}), "one")
    with pytest.raises(ApiError) as refused:
        applied(live, config({"a": {"image": "2"}}), "two")
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "one": '
        '.spec.template.spec.containers[name="a"].image'
    )
    live = applied(live, config({"a": {"image": "2"}}), "two", force=True)
    live = applied(live, config({"a": {}}), "one")
    assert containers(live) == {"a": {"image": "2"}}


def test_an_update_takes_ownership_of_changed_fields() -> None:
    live = applied(None, config({"a": {"image": "1"}}), "one")
    changed = {
        **live,
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "2"}]}}},
    }
    manager = FieldManager("Update", "editor", "apps/v1")
    UpdateTracker(manager, DEPLOYMENT, "t2", custom=False, has_status_subresource=True).track(
        changed, live
    )
    with pytest.raises(ApiError, match='conflict with "editor" using apps/v1'):
        applied(changed, config({"a": {"image": "1"}}), "one")


def test_the_time_changes_only_with_the_object() -> None:
    live = applied(None, config({"a": {"image": "1"}}), "one", at="t1")
    again = applied(live, config({"a": {"image": "1"}}), "one", at="t2")
    assert again["metadata"]["managedFields"][0]["time"] == "t1"
    other = applied(live, config({"a": {"image": "2"}}), "one", at="t3")
    assert other["metadata"]["managedFields"][0]["time"] == "t3"


def test_atomic_values_are_owned_as_a_whole() -> None:
    wanted = config({})
    wanted["spec"]["selector"] = {"matchLabels": {"a": "b"}}
    fields = applied_fields(wanted["spec"], builtin_type("DeploymentSpec"))
    assert ("f:selector",) in fields
    assert not any(path[0] == "f:selector" and len(path) > 1 for path in fields)


@given(first=ITEMS)
def test_apply_is_idempotent(first: dict[str, Any]) -> None:
    once = applied(None, config(first), "one")
    assert applied(once, config(first), "one", at="later") == once


@given(first=ITEMS, second=ITEMS)
def test_a_sole_manager_gets_exactly_its_last_configuration(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    live = applied(applied(None, config(first), "one"), config(second), "one")
    assert containers(live) == second


@given(first=ITEMS, second=ITEMS)
def test_a_successful_apply_sets_the_applied_values(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    live = applied(applied(None, config(first), "one"), config(second), "two", force=True)
    for name, fields in second.items():
        assert containers(live)[name].items() >= fields.items()


@given(first=ITEMS, second=ITEMS)
def test_applying_nothing_removes_only_own_fields(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    start = applied(None, config(first), "one")
    live = applied(start, config(second), "two", force=True)
    left = containers(applied(live, config({}), "two"))
    untouched = {
        name: {k: v for k, v in fields.items() if second.get(name, {}).get(k, v) == v}
        for name, fields in first.items()
    }
    for name, fields in untouched.items():
        assert left[name].items() >= fields.items()


@given(items=ITEMS)
def test_field_sets_round_trip_through_fields_v1(items: dict[str, Any]) -> None:
    obj = {key: value for key, value in config(items, a="b").items() if key in ("metadata", "spec")}
    for fields in (all_fields(obj, DEPLOYMENT), applied_fields(obj, DEPLOYMENT)):
        assert from_fields_v1(to_fields_v1(fields)) == fields
