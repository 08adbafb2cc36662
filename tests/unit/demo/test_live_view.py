"""The printed live view and summary."""

import io
from collections.abc import Callable

from rich.console import Console

from aiapi_demo.console_summary import print_summary
from aiapi_demo.live_view import LiveView
from aiapi_demo.recording import Recording, RunSample
from aiapi_demo.schedule import Phase
from aiapi_demo.summary import DemoObjective, DemoReport


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=160, force_terminal=terminal, color_system=None)


def printed(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_plain_prints_one_line_every_five_seconds(
    make_sample: Callable[..., RunSample], phases: tuple[Phase, ...]
) -> None:
    out, recording = console(), Recording()
    view = LiveView(
        out, phases=phases, plain=True, objective=DemoObjective(percentile=95, seconds=0.8)
    )
    for at in range(11):
        recording.samples.append(make_sample(float(at)))
        view.show(recording)
    lines = printed(out).splitlines()
    assert len(lines) == 3
    assert lines[1] == (
        "0:05 calm: offered 20 rps, served 20 rps, p95 350 ms (objective 800 ms), loops 40 % busy, "
        "pods x workers 2 x 1, 2 workers serving, binding EventLoop, failed 0, "
        "Steady: 18 of 30 <loops> are needed"
    )


def test_the_table_shows_the_newest_row_and_the_diagnoses(
    make_sample: Callable[..., RunSample], phases: tuple[Phase, ...], recording: Recording
) -> None:
    out = console(terminal=True)
    view = LiveView(
        out, phases=phases, plain=False, objective=DemoObjective(percentile=95, seconds=0.8)
    )
    view.start()
    view.show(recording)
    view.stop()
    text = printed(out)
    assert "slow LLM" in text
    assert "2 x 1" in text
    assert "DependencyBound: The upstream takes 92 % of the time" in text


def test_the_summary_is_complete(report: Callable[..., DemoReport]) -> None:
    out = console()
    print_summary(out, report())
    text = printed(out)
    for part in (
        "failed 0",
        "step to 6x",
        "2 x 1 -> 2 x 4",
        "ScaledUp: 120 rps x 25 ms",
        "Worker-seconds 448, a static fleet of 8 workers 880: 49 % saved",
        "DependencyBound=True",
        "All expectations were met.",
    ):
        assert part in text


def test_the_summary_lists_unmet_expectations(report: Callable[..., DemoReport]) -> None:
    out = console()
    print_summary(out, report(("3 requests failed",)))
    assert "Not met: 3 requests failed" in printed(out)
    assert "All expectations" not in printed(out)
