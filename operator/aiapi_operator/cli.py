"""`aiapi`, also installed as `kubectl aiapi`: which commands there are, and where they live.

A command's module is imported only when it is used: help stays fast, and what needs an extra that
is not installed says which one instead of failing on an import.
"""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True, kw_only=True)
class LazyCommand:
    """A command that is imported when it is needed."""

    module: str
    attribute: str
    help: str
    extra: str


SIMULATE = "plugin,simulate"


def _plugin(name: str, told: str, *, module: str = "", extra: str = "plugin") -> LazyCommand:
    where = f"aiapi_operator.plugin.{module or name}"
    return LazyCommand(module=where, attribute=name, help=told, extra=extra)


COMMANDS = {
    "top": _plugin("top", "Load, need, size and savings of all AIApis, live."),
    "explain": _plugin("explain", "Why an AIApi has the size it has, and what would change it."),
    "doctor": _plugin("doctor", "Check the cluster, the CRD, the operator and its rights."),
    "pause": _plugin("pause", "Decide nothing for an AIApi; what runs stays.", module="mode"),
    "recommend": _plugin("recommend", "Tell what would be done, and do nothing.", module="mode"),
    "resume": _plugin("resume", "Act on an AIApi again.", module="mode"),
    "manifest": _plugin("manifest", "The children of an AIApi as YAML."),
    "sandbox": LazyCommand(
        module="aiapi_sandbox.cli",
        attribute="sandbox",
        help="A Kubernetes API and one node on this computer, to try it all without a cluster.",
        extra="sandbox",
    ),
    "demo": LazyCommand(
        module="aiapi_demo.command",
        attribute="demo",
        help="Show the whole main job live on this computer.",
        extra="sandbox",
    ),
    "simulate": _plugin(
        "simulate", "What an AIApi's traffic, or a trace, costs and would cost.", extra=SIMULATE
    ),
    "completion": _plugin("completion", "Completion for bash, zsh or fish."),
}


class LazyGroup(click.Group):
    """A group whose commands are named above."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run under the name that was typed: kubectl starts a plugin by its file's name."""
        if "prog_name" not in extra:
            typed = Path(sys.argv[0]).name
            extra["prog_name"] = "kubectl aiapi" if typed == "kubectl-aiapi" else "aiapi"
        return super().main(*args, **{"complete_var": "_AIAPI_COMPLETE", **extra})

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


def complete_for_kubectl() -> None:
    """``kubectl_complete-aiapi``: what may follow the words typed after ``kubectl aiapi``."""
    from aiapi_operator.plugin.completion import kubectl_candidates  # noqa: PLC0415 - as the commands

    click.echo("\n".join(kubectl_candidates(main, sys.argv[1:])))


if __name__ == "__main__":
    main()
