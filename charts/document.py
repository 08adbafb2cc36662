"""Writes the table of values in the chart's README from the comments in values.yaml.

python charts/document.py          # writes charts/aiapi-operator/README.md
python charts/document.py --check  # fails when the README is out of date

A comment that begins with ``# --`` right above a value documents it. A map without such a comment
is a group, and its values are documented instead. Any other value without a comment is an error.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path(__file__).parent / "aiapi-operator"
README = CHART / "README.md"
BEGIN = "<!-- values: made by charts/document.py -->\n"
END = "<!-- end of values -->\n"


@dataclass(frozen=True, slots=True)
class Value:
    """One row of the table."""

    path: str
    kind: str
    default: str
    description: str


class UndocumentedError(Exception):
    """A value has no comment."""


def values(text: str) -> Iterator[Value]:
    """All documented values, in file order."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)  # noqa: S101 - values.yaml is a map
    yield from _walk(root, (), text.splitlines())


def _walk(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        description = _comment(lines, key.start_mark.line)
        if description:
            yield _row(".".join(here), value, description)
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _walk(value, here, lines)
        else:
            raise UndocumentedError(f"{'.'.join(here)} has no comment that begins with '# --'")


def _comment(lines: list[str], line: int) -> str:
    """The text of the comment right above a line, or an empty string."""
    found: list[str] = []
    for above in reversed(lines[:line]):
        text = above.strip()
        if not text.startswith("#"):
            return ""
        found.insert(0, text.removeprefix("#").strip())
        if found[0].startswith("--"):
            return " ".join(found).removeprefix("--").strip()
    return ""


def _row(path: str, node: yaml.Node, description: str) -> Value:
    loader = yaml.SafeLoader("")
    value = loader.construct_object(node, deep=True)
    kinds = {bool: "bool", int: "int", str: "string", list: "list", dict: "map"}
    return Value(path, kinds[type(value)], json.dumps(value), description)


def table(text: str) -> str:
    """The table as Markdown."""
    rows = [
        f"| `{each.path}` | {each.kind} | `{each.default}` | {each.description.replace('|', '/')} |"
        for each in values(text)
    ]
    return "\n".join(
        ["| value | type | default | description |", "| --- | --- | --- | --- |", *rows]
    )


def documented(readme: str, text: str) -> str:
    """The README with a current table."""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README} has no lines {BEGIN.strip()} and {END.strip()}")
    return f"{head}{BEGIN}\n{table(text)}\n\n{END}{tail}"


def main() -> None:
    """Write the README, or check it."""
    parser = argparse.ArgumentParser(description="Document the chart's values.")
    parser.add_argument("--check", action="store_true", help="only check whether it is up to date")
    only_check = parser.parse_args().check
    before = README.read_text()
    after = documented(before, (CHART / "values.yaml").read_text())
    if only_check and before != after:
        sys.exit(f"{README} is out of date: run 'make chart-docs'")
    README.write_text(after)


if __name__ == "__main__":
    main()
