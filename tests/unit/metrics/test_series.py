"""The text is what the client library writes, in parts between which other tasks run."""

import asyncio
from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from aiapi_operator.metrics.families import LABELLED, PLAIN
from aiapi_operator.metrics.operator_metrics import OperatorMetrics
from aiapi_operator.metrics.series import AllSeries, SeriesText

VALUES = (0.0, 1.0, 0.1 + 0.2, 1234567.0, 1.5e17, -2.5, 1e-9, float("nan"), float("inf"))


class Parsed(Collector):
    """The families that the library reads from a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def collect(self) -> Iterable[Metric]:
        return text_string_to_metric_families(self._text)


def by_the_library(text: str) -> str:
    registry = CollectorRegistry()
    registry.register(Parsed(text))
    return generate_latest(registry).decode()


def filled(aiapis: int) -> AllSeries:
    every = AllSeries()
    for at in range(aiapis):
        series = every.of((f"team-{at}", "a"))
        for family, value in zip(PLAIN, VALUES * len(PLAIN), strict=False):
            series.set(family.name, value)
        for family in LABELLED:
            series.replace(family.name, {f"label-{n}": value for n, value in enumerate(VALUES)})
    return every


def text_of(every: AllSeries) -> str:
    text = SeriesText()
    for _ in every.write(text):
        pass
    return b"".join(text.parts()).decode()


def test_the_text_is_byte_for_byte_the_library_s() -> None:
    text = text_of(filled(3))
    assert text == by_the_library(text)
    assert len(text.splitlines()) == 2 * (len(PLAIN) + len(LABELLED)) + 3 * (
        len(PLAIN) + len(LABELLED) * len(VALUES)
    )


def test_label_values_are_escaped_as_by_the_library() -> None:
    every = AllSeries()
    every.of(("shop", "a")).replace("cost_per_hour", {'a "b" \\c\n': 1.0})
    text = text_of(every)
    assert 'currency="a \\"b\\" \\\\c\\n",name="a",namespace="shop"} 1.0\n' in text
    assert text == by_the_library(text)


def test_families_without_series_keep_their_header() -> None:
    assert text_of(AllSeries()) == by_the_library(text_of(AllSeries()))


def test_a_removed_series_is_absent_and_the_others_stay() -> None:
    series = AllSeries()
    one = series.of(("shop", "a"))
    one.update("condition", {"Ready": True, "Degraded": True})
    one.update("condition", {"Degraded": None})
    one.set("failing_ratio", 0.5)
    one.set("failing_ratio", None)
    text = text_of(series)
    assert 'aiapi_operator_condition{name="a",namespace="shop",type="Ready"} 1.0' in text
    assert "Degraded" not in text
    assert "aiapi_operator_failing_ratio{" not in text


def test_an_aiapi_deleted_while_the_text_is_written_is_left_out() -> None:
    every, text = filled(30), SeriesText()
    steps = every.write(text)
    next(steps)
    every.forget(("team-29", "a"))
    for _ in steps:
        pass
    written = b"".join(text.parts()).decode()
    assert 'namespace="team-28"' in written
    assert 'namespace="team-29"' not in written


async def test_other_tasks_run_while_the_text_is_written() -> None:
    """Counted in turns of the loop, because seconds depend on the machine."""
    metrics = OperatorMetrics()
    for at in range(200):
        metrics.record_tick(("shop", f"api-{at}"), seconds=0.1, lag=0.0, outcome="ok", now=7.0)
    rendering = asyncio.create_task(metrics.render())
    turns = 0
    while not rendering.done():
        await asyncio.sleep(0)
        turns += 1
    without_process = [line for line in rendering.result().splitlines() if b"process_" not in line]
    assert without_process == [
        line for line in metrics.text().splitlines() if b"process_" not in line
    ]
    assert turns >= 200 / 10


@pytest.mark.parametrize("aiapis", [1, 50])
def test_what_is_forgotten_leaves_nothing(aiapis: int) -> None:
    every = filled(aiapis)
    for at in range(aiapis):
        every.forget((f"team-{at}", "a"))
    assert text_of(every) == text_of(AllSeries())
