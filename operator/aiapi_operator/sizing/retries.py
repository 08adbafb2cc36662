"""Retries: a rise in arrivals that follows failures is not new demand.

A request that failed may come again, at most once for each failure. So of the arrivals of now,
no more can be retries than failed in the last 15 s (a client's back-off), and what was asked
before the failures began is asked still:

    demand = max(level before, arrivals - failures)

100 a second come and all succeed. The upstream goes down; each request fails, and clients try
twice again: 300 a second come, 300 fail. max(100, 300 - 300) = 100: no more capacity. Had it
been real growth to 300 with a third failing, max(100, 300 - 100) = 200 are counted: all that
can succeed.

Failures that the loops cause are another matter: they end when there is capacity. So

- nothing is taken for a retry where loops were busy when the failures began,
- what is shed or cancelled while a loop is busy is no failure here. Were it one, retries that have
  filled the loops would keep them filled when the upstream is back: nothing would be answered in
  time, and all of it come again (a metastable failure),
- neither is what pods shed that say how many requests a worker takes: more workers take more,
- while loops are busy and a fifth of the requests or more succeed, at least all that succeed
  count: they wait for the retries, and with the room that this makes, more succeed.

What always fails (bots, broken clients) is usual and no trouble.
"""

from dataclasses import dataclass, replace
from math import exp

from aiapi_operator.sizing import windows
from aiapi_operator.sizing.state import FAST_WINDOW, FailureHistory, Tick

BUSY = 0.85
"""Utilisation of the busiest pod from which a loop may be what fails requests."""
BEGINS = 0.05
ENDS = 0.02
"""Parts of the arrivals, above the usual, with which a trouble begins and ends."""
MIN_FAILURES = 5
"""Failures in a tick for a trouble: fewer are chance."""
GOODPUT = 0.2
CHEAPER = 0.2
"""Part of failed requests from which a tick says nothing about what a request costs."""
REACH = 15.0
"""Seconds in which a failed request comes again, and for which calm must last."""
USUAL = 1800.0
"""Seconds in which the usual part of failures comes to 1/e of a lasting one."""


@dataclass(frozen=True, slots=True)
class RetryEstimate:
    """A tick without its retries, and what is remembered of failures."""

    tick: Tick
    failures: FailureHistory


def remove_retries(
    tick: Tick, ticks: tuple[Tick, ...], known: FailureHistory | None
) -> RetryEstimate:
    """Take the retries out of a new ``tick``; ``ticks`` are those before it."""
    came = tick.arrivals
    share = min(1.0, _failed(tick) / came) if came > 0 else 0.0
    if known is None:
        return RetryEstimate(tick, FailureHistory(usual=share))
    known = _turned(known, tick, ticks, share)
    weight = 1 - exp(-tick.seconds / USUAL)
    usual = known.usual + weight * (share - known.usual)
    failures = replace(known, usual=usual)
    if known.level is None or came <= 0:
        return RetryEstimate(tick, failures)
    failing = share >= known.usual + CHEAPER
    good = _good(tick)
    served = good if tick.busiest >= BUSY and good >= GOODPUT * came else 0.0
    recent = [tick, *(old for old in ticks if old.time > tick.time - REACH)]
    failed = max(_failed(each) - known.usual * _came(each) for each in recent)
    demand = min(came, max(known.level, came - failed, served))
    part = demand / came
    return RetryEstimate(
        replace(
            tick,
            arrivals=demand,
            retried=came - demand,
            loop=tick.loop * part,
            heaviest=tick.heaviest * part,
            failing=failing,
        ),
        failures,
    )


def _turned(
    known: FailureHistory, tick: Tick, ticks: tuple[Tick, ...], share: float
) -> FailureHistory:
    """Whether a trouble begins or ends with this tick."""
    if known.level is None:
        count = _failed(tick) * tick.seconds
        if share < known.usual + BEGINS or count < MIN_FAILURES or not ticks:
            return known
        recent = windows.last(ticks, now=ticks[-1].time, seconds=FAST_WINDOW)
        if max(each.busiest for each in (*recent, tick)) >= BUSY:
            return known
        level = max(windows.mean(ticks, "arrivals"), windows.mean(recent, "arrivals"))
        return replace(known, level=level, calm_since=None)
    if share > known.usual + ENDS:
        return replace(known, calm_since=None)
    since = tick.time if known.calm_since is None else known.calm_since
    if tick.time - since >= REACH:
        return replace(known, level=None, calm_since=None)
    return replace(known, calm_since=since)


def _failed(tick: Tick) -> float:
    """Failures a second that a busy loop, or a worker's own limit, did not cause."""
    if tick.busiest >= BUSY:
        return tick.server_errors
    shed = 0.0 if tick.worker_limit > 0 else tick.shed
    return tick.server_errors + tick.cancelled + shed


def _came(tick: Tick) -> float:
    return tick.arrivals + tick.retried


def _good(tick: Tick) -> float:
    return max(0.0, tick.completed - tick.server_errors - tick.cancelled)
