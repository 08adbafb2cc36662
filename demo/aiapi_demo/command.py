"""``aiapi demo``: the command line."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import click
from rich.console import Console

from aiapi_demo import timeline
from aiapi_demo.console_summary import print_summary
from aiapi_demo.environment import DemoEnvironment, DemoPaths
from aiapi_demo.kubectl import KubectlError
from aiapi_demo.processes import ProcessFailedError
from aiapi_demo.run import DemoPlan, DemoRun, random_kill
from aiapi_demo.schedule import demo_phases
from aiapi_demo.summary import DemoReport, as_json

INTERRUPTED = 130


@click.command()
@click.option(
    "--minutes",
    type=click.FloatRange(0.5, 60),
    default=2.75,
    show_default=True,
    help="Duration of the load.",
)
@click.option("--plain", is_flag=True, help="Print a line every 5 s instead of a live table.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/demo"),
    show_default=True,
    help="Directory for summary.json, timeline.html and the logs.",
)
@click.option(
    "--kill-operator",
    is_flag=False,
    flag_value="random",
    default=None,
    metavar="[SECONDS]",
    help="Kill the operator with SIGKILL at this time (a random one without a value), and check "
    "that no request fails and the fleet does not shrink.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="current directory",
    help="The repository, with crds/ and examples/.",
)
def demo(minutes: float, plain: bool, out: Path, kill_operator: str | None, root: Path) -> None:
    """Show right-sizing live on this computer, in about three minutes.

    Starts the sandbox and the operator, applies an AIApi and sends load in phases. Exits with 0 if
    all expectations were met.
    """
    plan = DemoPlan(
        phases=demo_phases(60 * minutes),
        kill_at=_kill_at(kill_operator, 60 * minutes),
        out=out.resolve(),
    )
    paths = DemoPaths(root=root.resolve(), out=plan.out)
    console = Console()
    plain = plain or not console.is_terminal
    sys.exit(asyncio.run(_run_interruptibly(paths, plan, console, plain=plain)))


def _kill_at(text: str | None, seconds: float) -> float | None:
    if text is None:
        return None
    if text == "random":
        return random_kill(seconds)
    try:
        at = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a number of seconds") from None
    if not 0 < at < seconds - 5:
        raise click.BadParameter(f"{at:g} s is not between 0 and {seconds - 5:g} s")
    return at


async def _run_interruptibly(
    paths: DemoPaths, plan: DemoPlan, console: Console, *, plain: bool
) -> int:
    task = asyncio.create_task(_run(paths, plan, console, plain=plain))
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        # Only once: a second Ctrl-C must not interrupt the shutdown of the processes.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)
        console.print("Interrupted. Stopping everything.")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        return INTERRUPTED
    except (ExceptionGroup, ProcessFailedError, KubectlError) as error:
        for failure in _known_failures(error):
            console.print(f"The demo failed: {failure}", style="red", highlight=False)
        return 1


def _known_failures(error: Exception) -> list[Exception]:
    """The errors to print. Any other error is raised."""
    known, rest = (
        error.split((ProcessFailedError, KubectlError))
        if isinstance(error, ExceptionGroup)
        else (ExceptionGroup("", [error]), None)
    )
    if rest is not None:
        raise rest
    return list(known.exceptions) if known else []


async def _run(paths: DemoPaths, plan: DemoPlan, console: Console, *, plain: bool) -> int:
    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    async with DemoEnvironment(paths, say) as environment:
        await environment.set_up()
        say(f"Sending load to {environment.url} for {plan.seconds:.0f} s; logs in {paths.logs}")
        report = await DemoRun(environment, plan, console, plain=plain).run()
        say("Stopping everything.")
    return _write_report(report, plan.out, console)


def _write_report(report: DemoReport, out: Path, console: Console) -> int:
    (out / "summary.json").write_text(json.dumps(as_json(report), indent=2) + "\n", "utf-8")
    (out / "timeline.html").write_text(timeline.render(report), "utf-8")
    print_summary(console, report)
    console.print(f"{out / 'summary.json'}\n{out / 'timeline.html'}", highlight=False)
    return 1 if report.unmet else 0
