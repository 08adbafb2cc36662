"""Tests that examples in the docs work: blocks parse, resources are valid, commands exist.

`make docs` checks the links within the site; this module checks the links of all pages to files.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from aiapi_operator.api.aiapi import AIApi
from aiapi_operator.cli import main
from aiapi_operator.simulate.command import simulate

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/**/*.md")])
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
INDENTED = re.compile(r"(?:^ {4}\S.*\n?)+", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s]+)\)")
REPOSITORY_PATH = re.compile(
    r"`((?:operator/aiapi|service/aiapi|sandbox/aiapi|demo/aiapi|charts/|monitoring/|tests/)[\w./-]*)`"
)
TARGET = re.compile(r"^([a-z0-9-]+):", re.MULTILINE)

pytestmark = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for fence in FENCE.finditer(page.read_text()):
        if fence["language"] in languages:
            yield fence["body"]


def commands(page: Path) -> Iterator[list[str]]:
    """Command lines in the page: `$ ...` in console blocks, and lines of indented and sh blocks."""
    text = page.read_text()
    prompts = re.findall(r"^\$ (.*)$", "\n".join(blocks(page, "console")), re.MULTILINE)
    indented = "".join(INDENTED.findall(FENCE.sub("", text))).splitlines()
    for line in (*prompts, *indented, *"\n".join(blocks(page, "sh", "bash")).splitlines()):
        try:
            yield shlex.split(line.strip(), comments=True)
        except ValueError:
            continue  # a sentence with an apostrophe, or one part of a longer command


def test_yaml_blocks_parse_and_their_aiapis_are_valid(page: Path) -> None:
    for body in blocks(page, "yaml", "yml"):
        for document in yaml.safe_load_all(body):
            if isinstance(document, dict) and document.get("kind") == "AIApi":
                AIApi.model_validate(document)


def test_python_blocks_compile(page: Path) -> None:
    for body in blocks(page, "python", "py"):
        if ">>>" not in body:
            flags = __import__("ast").PyCF_ALLOW_TOP_LEVEL_AWAIT
            compile(body, str(page), "exec", flags=flags)


def test_links_to_files_exist(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(FENCE.sub("", page.read_text()))]
    assert [t for t in targets if t and not (page.parent / t).exists()] == []


def test_paths_of_the_repository_exist(page: Path) -> None:
    named = {path.rstrip("/") for path in REPOSITORY_PATH.findall(page.read_text())}
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_make_targets_exist(page: Path) -> None:
    known = set(TARGET.findall((ROOT / "Makefile").read_text()))
    asked = {word for argv in commands(page) if argv[:1] == ["make"] for word in argv[1:]}
    assert {word for word in asked if "=" not in word and not word.startswith("-")} <= known


def test_aiapi_commands_and_options_exist(page: Path) -> None:
    for argv in commands(page):
        words = argv[2:] if argv[:2] == ["kubectl", "aiapi"] else argv[1:]
        if argv[:1] == ["aiapi"] or argv[:2] == ["kubectl", "aiapi"]:
            assert unknown(main, words) == [], " ".join(argv)


def unknown(command: Any, words: list[str]) -> list[str]:
    """Sub-commands and options that the command does not have."""
    context = click.Context(command)
    while words and isinstance(command, click.Group):
        if words[0].startswith("-"):
            break
        name, *words = words
        if (found := command.get_command(context, name)) is None:
            return [name]
        command, context = found, click.Context(found, parent=context)
    options = {"--help", "-h"}
    # With --trace the simulator runs, with the name of an AIApi the plugin.
    for known in (command, simulate) if command.name == "simulate" else (command,):
        options |= {o for p in known.params for o in (*p.opts, *p.secondary_opts)}
    given = (w.partition("=")[0] for w in words if w.startswith("-") and w != "-")
    return [option for option in given if option not in options]
