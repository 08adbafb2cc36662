"""Tests the files that configure the repository: workflows, code owners, dev container."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"uses: (\S+)(.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_actions_and_grant_permissions_per_job(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for action, comment in USES.findall(text):
        assert PINNED.fullmatch(action), action
        assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), f"{action} has no version comment"
    workflow: dict[str, Any] = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"], name
        assert job["timeout-minutes"] <= 60, name


def test_an_action_has_the_same_version_in_all_workflows() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, _ in USES.findall(path.read_text(encoding="utf-8")):
            name, _, revision = action.partition("@")
            pins.setdefault("/".join(name.split("/")[:2]), set()).add(revision)
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


def test_code_owners_name_paths_that_exist() -> None:
    lines = (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            path, *owners = line.split()
            assert path == "*" or (ROOT / path.lstrip("/")).exists(), path
            assert owners, path


def test_make_targets_of_the_dev_container_and_ci_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    commands = [container["postCreateCommand"]]
    for path in (*WORKFLOWS, ROOT / ".ci" / "run"):
        commands += re.findall(r"^\s*(?:- run: )?(make .*)$", path.read_text(), re.MULTILINE)
    words = {word for command in commands for word in command.split()[1:]}
    asked = {word for word in words if not word.startswith("-")}
    assert asked <= targets


def test_links_name_the_repository_and_its_site() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text().partition("\ntheme:")[0])
    owner, name = site["repo_url"].removeprefix("https://github.com/").split("/")
    assert site["site_url"] == f"https://{owner}.github.io/{name}/"
    assert f"@{owner}/maintainers" in (ROOT / ".github" / "CODEOWNERS").read_text()
    linked = re.compile(rf"https://github\.com/{owner}/([\w.-]+)")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md")):
        assert set(linked.findall(path.read_text())) <= {name}, path.name
