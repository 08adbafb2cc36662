"""How answers are written: tables for people, JSON and YAML for programs."""

import json
from collections.abc import Callable
from typing import Any, Literal

import click
import yaml
from rich.console import Console, RenderableType

Format = Literal["table", "json", "yaml"]
_UNCUT = 240

Command = Callable[..., Any]


def output_option(default: Format = "table", *formats: Format) -> Callable[[Command], Command]:
    """Add ``-o``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats or ("table", "json", "yaml")),
        default=default,
        show_default=True,
        help="How to write the answer.",
    )


def console() -> Console:
    """Colours only on a terminal and without NO_COLOR; in a file no line is cut."""
    found = Console(highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(highlight=False, width=_UNCUT)


def print_for_people(target: Console, what: RenderableType) -> None:
    """Write for people; in a file no line ends in blanks."""
    if target.is_terminal:
        target.print(what)
        return
    with target.capture() as captured:
        target.print(what)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


class _Dumper(yaml.SafeDumper):
    """Writes what is used twice twice: people do not read anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's
        return True


def emit(document: Any, output: Format) -> None:
    """Write a document for programs."""
    if output == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(to_yaml(document), nl=False)


def to_yaml(document: Any) -> str:
    """A document as YAML, in the order it was made."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
