"""The built-in types have the same fields as the official client's models."""

import re
from typing import Any

import pytest
from kubernetes.client import models

from aiapi_sandbox.kinds.type_schema import builtin_types

_PREFIXES = ("V2", "V1", "CoreV1", "EventsV1", "RbacV1", "DiscoveryV1", "AuthenticationV1", "")
_RENAMED = {"Event": "CoreV1Event", "JSONSchemaProps": "V1JSONSchemaProps"}
_SCALARS = {
    "str": {"str", "quantity"},
    "int": {"int"},
    "float": {"float"},
    "bool": {"bool"},
    "bytes": {"bytes"},
    "datetime": {"time"},
    "object": {"any", "intstr"},
}


def model_of(name: str) -> Any:
    if name in _RENAMED:
        return getattr(models, _RENAMED[name])
    for group in ("Core", "Events", "Rbac", "Discovery"):
        if name.startswith(group) and hasattr(models, f"{group}V1{name.removeprefix(group)}"):
            return getattr(models, f"{group}V1{name.removeprefix(group)}")
    found = [getattr(models, p + name) for p in _PREFIXES if hasattr(models, p + name)]
    assert found, f"the official client has no model for {name}"
    return found[0]


@pytest.mark.parametrize("name", sorted(builtin_types()))
def test_fields_match_the_official_client(name: str) -> None:
    model = model_of(name)
    ours = builtin_types()[name][1]
    theirs = {
        model.attribute_map[attribute]: type_ for attribute, type_ in model.openapi_types.items()
    }
    assert ours.keys() == theirs.keys()
    for field, (type_, _) in ours.items():
        bare = re.sub(r"[\[\]{}]|[@~].*$|atomic$", "", type_)
        inner = re.sub(r"^(?:(?:List\[|Dict\[str, ))*|\]+$", "", theirs[field])
        assert bare in _SCALARS.get(inner, {bare}), f"{name}.{field}: {theirs[field]}"
        assert type_.startswith("[") == theirs[field].startswith("List")
        assert type_.startswith("{") == theirs[field].startswith("Dict")
