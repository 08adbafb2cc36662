"""The demo's changes to the example, and its checks before it starts."""

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
    with pytest.raises(ProcessFailedError, match=r"aiapis\.aiapi\.dev\.yaml is missing\. Run the"):
        DemoPaths(root=tmp_path, out=tmp_path).check()
    DemoPaths(root=ROOT, out=tmp_path).check()


def test_a_random_kill_leaves_time_to_observe_the_restarted_operator() -> None:
    times = [random_kill(165) for _ in range(200)]
    assert 2 <= min(times) < max(times) <= 136


def test_the_time_of_a_kill_must_be_within_the_load() -> None:
    assert _kill_at("40", 165) == 40
    assert _kill_at(None, 165) is None
    for text in ("soon", "170", "-1"):
        with pytest.raises(click.BadParameter):
            _kill_at(text, 165)
