"""What the demo changes in the example, and what it refuses to start without."""

from pathlib import Path

import click
import pytest
import yaml

from aiapi_demo.command import _kill_at
from aiapi_demo.environment import IMAGE, NAME, DemoPaths, demo_patch, objective_of
from aiapi_demo.processes import ProcessFailedError
from aiapi_demo.run import random_kill
from aiapi_operator.api.aiapi import AIApi

ROOT = Path(__file__).parents[3]


def test_the_patched_example_is_a_valid_aiapi() -> None:
    example = yaml.safe_load((ROOT / "examples" / "assistant.yaml").read_text())
    assert (example["metadata"]["name"], example["spec"]["image"]) == (NAME, IMAGE)
    spec = {**example["spec"], **demo_patch("http://127.0.0.1:1234")["spec"]}
    aiapi = AIApi.model_validate({**example, "spec": spec})
    assert aiapi.spec.app == "assistant.main:app"
    assert {each.name for each in aiapi.spec.env} == {"LLM_URL", "ASSISTANT_LOOP_MS"}


def test_the_objective_is_read_from_the_spec() -> None:
    spec = {"objective": {"latency": {"percentile": 99, "threshold": "1.5s"}}}
    found = objective_of({"spec": spec})
    assert (found.percentile, found.seconds) == (99, 1.5)


def test_the_demo_needs_the_repository(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailedError, match=r"aiapis\.aiapi\.dev\.yaml is missing: run the"):
        DemoPaths(root=tmp_path, out=tmp_path).check()
    DemoPaths(root=ROOT, out=tmp_path).check()


def test_a_random_kill_leaves_time_to_watch_the_successor() -> None:
    moments = [random_kill(165) for _ in range(200)]
    assert 2 <= min(moments) < max(moments) <= 136


def test_a_kill_at_a_given_moment_must_lie_within_the_load() -> None:
    assert _kill_at("40", 165) == 40
    assert _kill_at(None, 165) is None
    for text in ("soon", "170", "-1"):
        with pytest.raises(click.BadParameter):
            _kill_at(text, 165)
