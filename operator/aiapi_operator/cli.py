"""`aiapi`, also installed as `kubectl aiapi`: which commands there are, and where they live.

A command's module is imported only when it is used: help stays fast, and what needs an extra that
is not installed says which one instead of failing on an import.
"""

import importlib
from dataclasses import dataclass

import click


@dataclass(frozen=True, kw_only=True)
class LazyCommand:
    """A command that is imported when it is needed."""

    module: str
    attribute: str
    help: str
    extra: str


COMMANDS = {
    "sandbox": LazyCommand(
        module="aiapi_operator.sandbox.cli",
        attribute="sandbox",
        help="A Kubernetes API and one node on this computer, to try it all without a cluster.",
        extra="sandbox",
    ),
    "demo": LazyCommand(
        module="aiapi_operator.demo.command",
        attribute="demo",
        help="Show the whole main job live on this computer.",
        extra="sandbox",
    ),
    "simulate": LazyCommand(
        module="aiapi_operator.simulate.command",
        attribute="simulate",
        help="What would happen to a trace of traffic, and what it would cost.",
        extra="simulate",
    ),
}


class LazyGroup(click.Group):
    """A group whose commands are named above."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        return load(entry) if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def load(entry: LazyCommand) -> click.Command:
    """Import a command; a missing package becomes a hint."""
    try:
        command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
    except ModuleNotFoundError as error:
        raise missing_extra(error, entry.extra) from error
    return command


def missing_extra(error: ModuleNotFoundError, extra: str) -> click.ClickException:
    """Return what to tell; a missing module of our own is a defect and stays one."""
    if (error.name or "").startswith("aiapi_"):
        raise error
    return click.ClickException(
        f"this command needs the package that gives {error.name!r}: pip install 'aiapi[{extra}]'"
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aiapi", prog_name="aiapi")
def main() -> None:
    """Right-size async AI APIs on Kubernetes: Uvicorn workers and pods, by event-loop time."""


if __name__ == "__main__":
    main()
