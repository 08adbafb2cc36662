"""Structural schemas: defaulting, pruning, validation messages and CEL rules."""

from typing import Any

import pytest

from aiapi_sandbox.apimachinery.errors import ApiError
from aiapi_sandbox.apiserver.crd_handler import CRDHandler
from aiapi_sandbox.kinds.resources import CRDS, GroupVersionResource
from aiapi_sandbox.kinds.type_schema import custom_resource_type, prune, unknown_fields
from aiapi_sandbox.storage.store import Store

THINGS = GroupVersionResource("example.dev", "v1", "things")


def crd(spec: dict[str, Any], **root: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": spec}, **root}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    names = {"kind": "Thing", "plural": "things"}
    return {
        "metadata": {"name": "things.example.dev"},
        "spec": {
            "group": "example.dev",
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }


def field(name: str, **schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}}


def store_with(spec: dict[str, Any], **root: Any) -> Store:
    store = Store()
    CRDHandler(store).attach()
    store.create(CRDS, crd(spec, **root))
    return store


def thing(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "t", "namespace": "default"}, "spec": spec}


def refusal(schema: dict[str, Any], **spec: Any) -> str:
    with pytest.raises(ApiError) as refused:
        store_with(schema).create(THINGS, thing(**spec))
    return refused.value.message.removeprefix('Thing.example.dev "t" is invalid: ')


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "integer", "minimum": 1}, 0, "should be greater than or equal to 1"),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            0,
            "should be greater than 0",
        ),
        ({"type": "number", "maximum": 99.9}, 100, "should be less than or equal to 99.9"),
        ({"type": "string", "pattern": "^a+$"}, "b", "should match '^a+$'"),
        ({"type": "string", "minLength": 2}, "b", "should be at least 2 chars long"),
        ({"type": "string", "format": "date-time"}, "b", 'must be of type date-time: "b"'),
        ({"type": "boolean"}, "b", 'must be of type boolean: "string"'),
        ({"type": "string"}, 3, 'must be of type string: "integer"'),
        ({"type": "object", "properties": {}}, [], 'must be of type object: "array"'),
        (
            {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}]},
            True,
            'must be of type integer,string: "boolean"',
        ),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            [],
            "should have at least 1 items",
        ),
    ],
)
def test_messages_name_the_field_and_the_rule(schema: Any, value: Any, message: str) -> None:
    text = refusal(field("x", **schema), x=value)
    assert text.startswith("spec.x: Invalid value: ")
    assert text.endswith(f"spec.x in body {message}")


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string", "maxLength": 1}, "bb", "spec.x: Too long: may not be more than 1"),
        (
            {"type": "array", "items": {"type": "string"}, "maxItems": 1},
            ["a", "b"],
            "spec.x: Too many: 2: must have at most 1 item",
        ),
        (
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            ["a", "a"],
            'spec.x[1]: Duplicate value: "a"',
        ),
        (
            {"type": "array", "items": field("y", type="integer")},
            [{"y": 1}, {"y": "b"}],
            'spec.x[1].y: Invalid value: "string"',
        ),
        (
            {"type": "object", "required": ["y"], "properties": {"y": {"type": "string"}}},
            {},
            "spec.x.y: Required value",
        ),
    ],
)
def test_more_messages(schema: Any, value: Any, message: str) -> None:
    assert refusal(field("x", **schema), x=value).startswith(message)


def rule(text: str, **more: Any) -> dict[str, Any]:
    properties = {
        "low": {"type": "integer"},
        "high": {"type": "number"},
        "size": {"type": "string"},
        "names": {"type": "array", "items": {"type": "string"}},
        "namespace": {"type": "string"},
        "wait": {"type": "string", "format": "duration"},
    }
    return {
        "type": "object",
        "properties": properties,
        "x-kubernetes-validations": [{"rule": text, **more}],
    }


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("!has(self.low) || self.low > 1", {}, {"low": 1}),
        ("self.high / 2.0 < 10.0", {"high": 4}, {"high": 40}),
        ("quantity(self.size).isLessThan(quantity('1Gi'))", {"size": "64Mi"}, {"size": "2Gi"}),
        ("isQuantity(self.size)", {"size": "100m"}, {"size": "much"}),
        ("self.names.all(n, n.startsWith('a'))", {"names": ["a", "ab"]}, {"names": ["b"]}),
        ("size(self.names) <= 1", {"names": ["a"]}, {"names": ["a", "b"]}),
        ("self.__namespace__ == 'a'", {"namespace": "a"}, {"namespace": "b"}),
        ("self.wait > duration('1s')", {"wait": "1m30s"}, {"wait": "500ms"}),
        ("self.size.matches('^[a-z]+$')", {"size": "abc"}, {"size": "A"}),
    ],
)
def test_rules(text: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    schema = rule(text, message="no")
    store_with(schema).create(THINGS, thing(**good))
    assert refusal(schema, **bad) == "spec: Invalid value: no"


def test_message_expression_sets_the_message() -> None:
    schema = rule(
        "self.low < 5",
        messageExpression="'low is ' + string(self.low)",
        fieldPath=".low",
        reason="FieldValueForbidden",
    )
    assert refusal(schema, low=7) == "spec.low: Forbidden: low is 7"
    assert refusal(rule("self.low < 5"), low=7).endswith("failed rule: self.low < 5")


def test_a_rule_that_fails_to_evaluate_rejects_with_the_reason() -> None:
    assert "low" in refusal(rule("self.low > 1", message="too low"))
    assert refusal(rule("self.low > 1", message="too low")).endswith("evaluating rule: too low")


def test_transition_rules_require_an_old_value() -> None:
    store = store_with(rule("self.low >= oldSelf.low", message="only up"))
    store.create(THINGS, thing(low=3))
    store.mutate(THINGS, "default", "t", lambda obj: obj["spec"].update(low=4))
    with pytest.raises(ApiError, match="only up"):
        store.mutate(THINGS, "default", "t", lambda obj: obj["spec"].update(low=2))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (rule("self.low >"), "compilation failed"),
        (rule("nosuch(self.low)"), "undeclared reference to 'nosuch'"),
        (field("x"), "properties[x].type: Required value"),
        (field("x", type="array"), "properties[x].items: Required value"),
    ],
)
def test_an_invalid_crd_is_rejected(schema: Any, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        store_with(schema)
    assert refused.value.status == 422
    assert message in refused.value.message


def test_defaults_apply_at_every_depth() -> None:
    inner = {
        "type": "object",
        "default": {},
        "properties": {
            "b": {"type": "integer", "default": 1},
            "c": {"type": "string", "nullable": True, "default": "x"},
        },
    }
    items = {"type": "array", "items": inner}
    spec = {"type": "object", "default": {}, "properties": {"a": inner, "list": items}}
    store = store_with(spec)
    made = store.create(
        THINGS, {**thing(a={"b": None, "c": None}, list=[{}]), "apiVersion": "example.dev/v1"}
    )
    assert made["spec"] == {"a": {"b": 1, "c": None}, "list": [{"b": 1, "c": "x"}]}
    bare = store.create(THINGS, {"metadata": {"name": "u", "namespace": "default"}})
    assert bare["spec"] == {"a": {"b": 1, "c": "x"}}


def test_unchanged_values_are_not_validated_again() -> None:
    store = store_with(field("x", type="integer", default=1))
    store.create(THINGS, thing(x=50))
    tighter = crd(field("x", type="integer", maximum=10))
    store.mutate(CRDS, None, "things.example.dev", lambda obj: obj.update(spec=tighter["spec"]))
    store.mutate(THINGS, "default", "t", lambda obj: obj["metadata"].update(labels={"a": "b"}))
    with pytest.raises(ApiError, match="should be less than or equal to 10"):
        store.mutate(THINGS, "default", "t", lambda obj: obj["spec"].update(x=51))


def test_unknown_fields_are_found_and_pruned() -> None:
    kept = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    shape = custom_resource_type(
        {
            "properties": {
                "spec": {"type": "object", "properties": {"a": {"type": "string"}, "k": kept}}
            }
        }
    )
    obj = {"metadata": {"name": "x", "odd": 1}, "spec": {"a": "1", "b": 2, "k": {"any": 3}}, "c": 4}
    assert unknown_fields(obj, shape) == ["metadata.odd", "spec.b", "c"]
    prune(obj, shape)
    assert obj == {"metadata": {"name": "x"}, "spec": {"a": "1", "k": {"any": 3}}}


def test_deleting_a_crd_deletes_its_objects() -> None:
    store = store_with(field("x", type="integer"))
    store.create(THINGS, thing(x=1))
    store.delete(CRDS, None, "things.example.dev")
    assert store.find(CRDS, None, "things.example.dev") is None
    with pytest.raises(ApiError, match="could not find the requested resource"):
        store.list(THINGS)
