"""Removes retries from the demand: a rise in arrivals that follows failures is not new demand.

A failed request may be retried, at most once per failure. So at most as many of the current
arrivals are retries as requests failed in the last 15 s (a client's back-off), and the demand from
before the failures still exists:

    demand = max(level before, arrivals - failures)

Example: 100 rps arrive and all succeed. The upstream goes down; each request fails, and clients
retry twice: 300 rps arrive, 300 fail. max(100, 300 - 300) = 100: no more capacity. If it were real
growth to 300 with a third failing, max(100, 300 - 100) = 200 are counted: all that can succeed.

Failures caused by busy loops end when there is capacity. Therefore:

- nothing counts as a retry if loops were busy when the failures began,
- requests shed or cancelled while a loop is busy are not failures here. Otherwise retries that have
  filled the loops would keep them filled after the upstream recovers: no request would complete in
  time, and all would be retried (a metastable failure),
- neither are requests shed by pods that report a concurrency limit: more workers accept more,
- while loops are busy and at least a fifth of the requests succeed, the demand is at least all that
  succeed: they compete with the retries, and the added capacity lets more succeed.

Requests that always fail (bots, broken clients) are the usual level and not an incident.
"""

from dataclasses import dataclass, replace
from math import exp

from aiapi_operator.sizing import windows
from aiapi_operator.sizing.state import FAST_WINDOW, FailureHistory, Tick

BUSY = 0.85
"""Utilization of the busiest pod from which a loop may be the cause of failures."""
BEGINS = 0.05
ENDS = 0.02
"""Shares of the arrivals, above the usual share, at which an incident begins and ends."""
MIN_FAILURES = 5
"""Minimum failures in a tick for an incident: fewer are chance."""
GOODPUT = 0.2
CHEAPER = 0.2
"""Share of failed requests from which a tick is not used for the cost of a request."""
REACH = 15.0
"""Seconds within which a failed request is retried, and for which calm must last."""
USUAL = 1800.0
"""Time constant in seconds of the usual share of failures."""


@dataclass(frozen=True, slots=True)
class RetryEstimate:
    """A tick without its retries, and the updated failure history."""

    tick: Tick
    failures: FailureHistory


def remove_retries(
    tick: Tick, ticks: tuple[Tick, ...], known: FailureHistory | None
) -> RetryEstimate:
    """Removes the retries from a new ``tick``; ``ticks`` are those before it."""
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
    """Whether an incident begins or ends with this tick."""
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
    """Failures per second that were not caused by a busy loop or a worker's own limit."""
    if tick.busiest >= BUSY:
        return tick.server_errors
    shed = 0.0 if tick.worker_limit > 0 else tick.shed
    return tick.server_errors + tick.cancelled + shed


def _came(tick: Tick) -> float:
    return tick.arrivals + tick.retried


def _good(tick: Tick) -> float:
    return max(0.0, tick.completed - tick.server_errors - tick.cancelled)
