"""The `aiapi` command, also installed as `kubectl aiapi`: a list of the commands.

The module of a command is imported when it runs: help stays fast, and a missing extra gives a
message instead of a failed import.
"""

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True, kw_only=True)
class LazyCommand:
    """A command that is imported when it runs."""

    module: str
    attribute: str
    help: str
    extra: str


SIMULATE = "plugin,simulate"


def _plugin(name: str, help_text: str, *, module: str = "", extra: str = "plugin") -> LazyCommand:
    where = f"aiapi_operator.plugin.{module or name}"
    return LazyCommand(module=where, attribute=name, help=help_text, extra=extra)


COMMANDS = {
    "top": _plugin("top", "Show load, need, size and savings of all AIApis, live."),
    "explain": _plugin("explain", "Explain the size of an AIApi, and what would change it."),
    "doctor": _plugin("doctor", "Check the cluster, the CRD, the operator and its permissions."),
    "pause": _plugin("pause", "Stop making decisions for an AIApi.", module="mode"),
    "recommend": _plugin("recommend", "Report decisions without applying them.", module="mode"),
    "resume": _plugin("resume", "Apply decisions for an AIApi again.", module="mode"),
    "manifest": _plugin("manifest", "Print the children of an AIApi as YAML."),
    "adopt": _plugin("adopt", "Write the AIApi of a Deployment.", module="adopt.command"),
    "sandbox": LazyCommand(
        module="aiapi_sandbox.cli",
        attribute="sandbox",
        help="Run a Kubernetes API and one node on this computer.",
        extra="sandbox",
    ),
    "demo": LazyCommand(
        module="aiapi_demo.command",
        attribute="demo",
        help="Show right-sizing live on this computer.",
        extra="sandbox",
    ),
    "simulate": _plugin(
        "simulate",
        "Simulate autoscalers with the traffic of an AIApi or with a trace.",
        extra=SIMULATE,
    ),
    "completion": _plugin("completion", "Print the completion script for bash, zsh or fish."),
}


class LazyGroup(click.Group):
    """A group of ``COMMANDS``."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Use the name that was typed: kubectl runs a plugin by its file name."""
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
    """Import a command. A missing package gives a message with the extra to install."""
    try:
        command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
    except ModuleNotFoundError as error:
        raise missing_extra(error, entry.extra) from error
    return command


def missing_extra(error: ModuleNotFoundError, extra: str) -> click.ClickException:
    """The message for a missing package.

    A missing module of this project is a bug, so it is raised again, except in the archives for
    krew, which contain only some of the packages.
    """
    if (error.name or "").startswith("aiapi_") and not getattr(sys, "frozen", False):
        raise error
    return click.ClickException(f"this command needs {error.name!r}: pip install 'aiapi[{extra}]'")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aiapi", prog_name="aiapi")
def main() -> None:
    """Right-size async AI APIs on Kubernetes: Uvicorn workers and pods, by event-loop time."""


def complete_for_kubectl() -> None:
    """Run ``kubectl_complete-aiapi``: print the candidates for ``kubectl aiapi``."""
    from aiapi_operator.plugin.completion import kubectl_candidates  # noqa: PLC0415 - as the commands

    click.echo("\n".join(kubectl_candidates(main, sys.argv[1:])))


if __name__ == "__main__":
    main()
