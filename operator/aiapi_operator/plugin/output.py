"""Output: tables for people, JSON and YAML for programs."""

import json
from collections.abc import Callable
from typing import Any, Literal

import click
import yaml
from rich.console import Console, RenderableType

Format = Literal["table", "json", "yaml"]
_WIDTH = 240
"""Characters, where there is no terminal to fit."""

Command = Callable[..., Any]


def output_option(default: Format = "table", *formats: Format) -> Callable[[Command], Command]:
    """Add ``-o``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats or ("table", "json", "yaml")),
        default=default,
        show_default=True,
        help="Output format.",
    )


def console() -> Console:
    """Colors on a terminal only, and not with NO_COLOR. Lines in a file are not truncated."""
    found = Console(highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH)


def print_for_people(target: Console, content: RenderableType) -> None:
    """Print. Lines in a file have no trailing blanks."""
    if target.is_terminal:
        target.print(content)
        return
    with target.capture() as captured:
        target.print(content)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


class _Dumper(yaml.SafeDumper):
    """Writes no anchors and aliases, and text of several lines as it is."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - signature of the base class
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def emit(document: Any, output: Format) -> None:
    """Print a document as JSON or YAML."""
    if output == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(to_yaml(document), nl=False)


def to_yaml(document: Any) -> str:
    """A document as YAML, with its keys in order."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
