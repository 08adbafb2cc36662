"""What an AIApi wants is computed again when it changed, and only then."""

import pytest
from engine_support.world import aiapi
from pydantic import ValidationError

from aiapi_operator.engine import wanted
from aiapi_operator.engine.wanted import WantedState


def test_the_same_spec_is_parsed_once() -> None:
    state, manifest = WantedState(), aiapi({"replicas": {"min": 2}})
    first = wanted.parse(state, manifest)
    assert wanted.parse(state, {**manifest, "status": {"replicas": 5}}) is first
    changed = {**manifest, "spec": {"replicas": {"min": 3}}}
    assert wanted.parse(state, changed).spec.replicas.min == 3


def test_an_invalid_spec_is_reported_each_time() -> None:
    state, manifest = WantedState(), aiapi()
    wanted.parse(state, manifest)
    broken = {**manifest, "spec": {"replicas": {"min": "many"}}}
    for _ in range(2):
        with pytest.raises(ValidationError):
            wanted.parse(state, broken)
    assert wanted.parse(state, manifest).spec.replicas.min == 2
