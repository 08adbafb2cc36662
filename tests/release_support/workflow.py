"""Reads the release workflow as GitHub does: runs its shell steps and evaluates its expressions."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
OWNER = "aiapi-dev"

Context = dict[str, Any]


def workflow() -> dict[str, Any]:
    """The release workflow."""
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def evaluated(text: str, context: Context) -> str:
    """The text with its expressions replaced. An expression without a value is an error."""
    return EXPRESSION.sub(lambda found: _value(found[1], context), text)


def _value(path: str, context: Context) -> str:
    value: Any = context
    for part in path.split("."):
        value = value[part]
    assert isinstance(value, str), path
    return value


def step(job: dict[str, Any], identifier: str) -> dict[str, Any]:
    """The step of a job with an id, or with a name."""
    names = (identifier,)
    (found,) = [each for each in job["steps"] if each.get("id", each.get("name")) in names]
    return dict(found)


def run(script: str, environment: dict[str, str], where: Path = ROOT) -> dict[str, str]:
    """Runs the script of a step in bash, as GitHub does, and returns its outputs."""
    outputs = Path(environment["GITHUB_OUTPUT"])
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    subprocess.run(
        command, cwd=where, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    lines = outputs.read_text().splitlines() if outputs.exists() else []
    return dict(line.split("=", 1) for line in lines)


def context_of(tag: str, folder: Path) -> Context:
    """What the jobs after `version` know when the tag is pushed."""
    github = {"ref_name": tag, "repository_owner": OWNER, "actor": "releaser"}
    job = workflow()["jobs"]["version"]
    environment = {"GITHUB_REF_NAME": tag, "GITHUB_OUTPUT": str(folder / "outputs")}
    outputs = run(step(job, "release")["run"], environment)
    known = {"github": github, "steps": {"release": {"outputs": outputs}}}
    results = {name: evaluated(text, known) for name, text in job["outputs"].items()}
    return {"github": github, "needs": {"version": {"outputs": results}}}


def image_builds(context: Context) -> Iterator[tuple[str, dict[str, str]]]:
    """The reference that each build of the job `images` pushes, with its entry of the matrix."""
    job = workflow()["jobs"]["images"]
    for entry in job["strategy"]["matrix"]["include"]:
        inputs = step(job, "build")["with"]
        yield evaluated(inputs["tags"], context | {"matrix": entry}), entry
