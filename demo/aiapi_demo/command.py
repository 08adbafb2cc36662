"""``aiapi demo``: the command line of the demo."""

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
    help="How long the load lasts.",
)
@click.option("--plain", is_flag=True, help="A line each 5 s instead of a live table.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/demo"),
    show_default=True,
    help="Where summary.json, timeline.html and the logs go.",
)
@click.option(
    "--kill-operator",
    is_flag=False,
    flag_value="random",
    default=None,
    metavar="[SECONDS]",
    help="Kill the operator with -9 then (at a random moment without a value), and check that "
    "no request is lost and nothing shrinks for it.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="here",
    help="The repository, with crds/ and examples/.",
)
def demo(minutes: float, plain: bool, out: Path, kill_operator: str | None, root: Path) -> None:
    """Show the whole main job live on this computer, in about three minutes.

    Starts the sandbox and the operator, applies an AIApi, sends load in phases, and ends with
    0 when everything held that the demo promises.
    """
    plan = DemoPlan(
        phases=demo_phases(60 * minutes),
        kill_at=_kill_at(kill_operator, 60 * minutes),
        out=out.resolve(),
    )
    places = DemoPaths(root=root.resolve(), out=plan.out)
    console = Console()
    plain = plain or not console.is_terminal
    sys.exit(asyncio.run(_until_done_or_interrupted(places, plan, console, plain=plain)))


def _kill_at(text: str | None, seconds: float) -> float | None:
    if text is None:
        return None
    if text == "random":
        return random_kill(seconds)
    try:
        at = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number of seconds") from None
    if not 0 < at < seconds - 5:
        raise click.BadParameter(f"{at:g} s is not within the load, 5 s before its end")
    return at


async def _until_done_or_interrupted(
    places: DemoPaths, plan: DemoPlan, console: Console, *, plain: bool
) -> int:
    task = asyncio.create_task(_show(places, plan, console, plain=plain))
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        # Once only: a second Ctrl-C must not cut short the ending of what was started.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)
        console.print("Interrupted: stopping everything")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        return INTERRUPTED
    except (ExceptionGroup, ProcessFailedError, KubectlError) as error:
        for failure in _known_failures(error):
            console.print(f"The demo could not go on: {failure}", style="red", highlight=False)
        return 1


def _known_failures(error: Exception) -> list[Exception]:
    """What to tell the user; anything unforeseen is raised with its traceback."""
    known, rest = (
        error.split((ProcessFailedError, KubectlError))
        if isinstance(error, ExceptionGroup)
        else (ExceptionGroup("", [error]), None)
    )
    if rest is not None:
        raise rest
    return list(known.exceptions) if known else []


async def _show(places: DemoPaths, plan: DemoPlan, console: Console, *, plain: bool) -> int:
    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    async with DemoEnvironment(places, say) as stage:
        await stage.set()
        say(f"Sending load to {stage.url} for {plan.seconds:.0f} s; logs in {places.logs}")
        report = await DemoRun(stage, plan, console, plain=plain).play()
        say("Stopping everything")
    return _leave(report, plan.out, console)


def _leave(report: DemoReport, out: Path, console: Console) -> int:
    (out / "summary.json").write_text(json.dumps(as_json(report), indent=2) + "\n", "utf-8")
    (out / "timeline.html").write_text(timeline.render(report), "utf-8")
    print_summary(console, report)
    console.print(f"{out / 'summary.json'}\n{out / 'timeline.html'}", highlight=False)
    return 1 if report.unmet else 0
