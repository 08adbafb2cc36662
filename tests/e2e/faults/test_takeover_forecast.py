"""A new leader starts from the checkpoint: it does not forecast more than the old one."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator
from e2e_support.kubectl import eventually, throughout

ROW = Row(
    fault="takeover by the standby",
    user="nothing",
    operator="Starts from the checkpoint in the status: no larger fleet than before, and no"
    " smaller one",
)
SECONDS = 40
MOST = 1.15
"""Forecast after the takeover / forecast before it. Noise of 20 requests a second is 10 %."""


def demand(steady: Steady) -> float:
    load = steady.status().get("load", {})
    return float(load.get("forecastPerSecond") or load.get("requestsPerSecond") or 0)


def test_a_takeover_does_not_raise_the_forecast(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        largest = max(size.total for size in steady.right)
        cut = operator.leading()
        cut.rules({"action": "close"})
        eventually(
            lambda: operator.leader() not in ("", cut.pod),
            within=40,
            what="the standby leads",
            state=operator.leader,
        )
        throughout(
            lambda: steady.size().total <= largest or f"{steady.size()}",
            seconds=SECONDS,
            what=f"no more than {largest} workers",
        )
        cut.rules()
