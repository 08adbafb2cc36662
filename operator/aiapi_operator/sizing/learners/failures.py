"""Failures: arrivals that follow failures may be retries, and retries are not demand.

A failed request may be retried, at most once per failure. So the retries among the arrivals are at
most the failures of the last 15 s (a client's back-off), and the demand from before the failures
still exists:

    demand = max(level before, arrivals - failures)

Example: 100 rps arrive and all succeed. The upstream goes down, each request fails, and clients
retry it twice: 300 rps arrive and fail. max(100, 300 - 300) = 100: no more capacity. If the load
had grown to 300 with a third failing, max(100, 300 - 100) = 200 would count: all that can succeed.

Failures caused by busy loops end when there is capacity, and those of loops that wait for a CPU
when they get one. So nothing counts as a retry if loops were busy (or waited) when the failures
began; requests that a busy loop sheds or cancels are not failures, nor are those that a worker's
own limit sheds; and while loops are busy and at least a fifth of the requests succeed, at least all
that succeed count. Otherwise retries that fill the loops would keep them full after the upstream
has recovered: a metastable failure (Huang et al., OSDI 2022).

A permanent share of failures (bots, broken clients) is usual and has no effect.
"""

from dataclasses import dataclass, replace
from math import exp

from aiapi_operator.sizing.capacity import HIGHEST
from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.state import FAST_WINDOW, Tick
from aiapi_operator.sizing.windows import last as last_ticks
from aiapi_operator.sizing.windows import mean


@dataclass(frozen=True, slots=True, kw_only=True)
class FailuresTuning:
    """Numbers of this learner."""

    begins: float = 0.05
    """Share of failures, above the usual share, from which requests are failing. Chosen; they stop
    below half of it."""
    enough: int = 5
    """Failures in a tick from which requests are failing. Fewer are chance."""
    goodput: float = 0.2
    """Share of requests that must succeed for busy loops to be the limit, and of failures from
    which a tick is not used to learn c. Chosen."""
    reach: float = 15.0
    """Seconds within which a failed request is retried, and without failures until they have ended.
    Chosen: covers usual back-offs."""
    usual: float = 1800.0
    """Seconds in which a lasting share of failures becomes usual (to 1/e). Chosen: longer than most
    outages."""


TUNING = FailuresTuning()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The usual share of failures, and the current failures."""

    usual: float
    level: float | None = None
    """Arrivals per second before they began; None if there are none."""
    calm_since: float | None = None


def failing(facts: Facts) -> bool:
    """Whether requests fail, so that measurements do not describe their cost."""
    known = facts.get(Failures)
    return known is not None and known.level is not None


def learn(known: Failures | None, facts: Facts) -> Failures | None:
    """Remove the retries from the newest tick."""
    tick = facts.tick
    if tick is None:
        return known
    share = min(1.0, _failed(tick) / tick.arrivals) if tick.arrivals > 0 else 0.0
    if known is None:
        return Failures(usual=share)
    known = _turned(known, facts, tick, share)
    if known.level is not None and tick.arrivals > 0:
        facts.replace_tick(_without_retries(known, facts, tick, known.level, share))
    weight = 1 - exp(-tick.seconds / TUNING.usual)
    return Failures(
        usual=known.usual + weight * (share - known.usual),
        level=known.level,
        calm_since=known.calm_since,
    )


def _without_retries(known: Failures, facts: Facts, tick: Tick, level: float, share: float) -> Tick:
    came, good = tick.arrivals, _good(tick)
    served = good if _busy(tick) and good >= TUNING.goodput * came else 0.0
    recent = [old for old in facts.ticks if old.time > tick.time - TUNING.reach]
    failed = max(_failed(each) - known.usual * _came(each) for each in recent)
    demand = min(came, max(level, came - failed, served))
    part = demand / came
    return replace(
        tick,
        arrivals=demand,
        retried=came - demand,
        loop=tick.loop * part,
        heaviest=tick.heaviest * part,
        failing=share >= known.usual + TUNING.goodput,
    )


def _turned(known: Failures, facts: Facts, tick: Tick, share: float) -> Failures:
    """The state after failures began or ended with this tick."""
    before = facts.ticks[:-1]
    if known.level is None:
        count = _failed(tick) * tick.seconds
        if share < known.usual + TUNING.begins or count < TUNING.enough or not before:
            return known
        recent = last_ticks(before, now=before[-1].time, seconds=FAST_WINDOW)
        if any(map(_busy, (*recent, tick))):
            return known
        level = max(mean(before, "arrivals"), mean(recent, "arrivals"))
        return replace(known, level=level, calm_since=None)
    if share > known.usual + TUNING.begins / 2:
        return replace(known, calm_since=None)
    since = tick.time if known.calm_since is None else known.calm_since
    if tick.time - since >= TUNING.reach:
        return replace(known, level=None, calm_since=None)
    return replace(known, calm_since=since)


def _busy(tick: Tick) -> bool:
    """Whether a loop may be what fails requests: it is full, or waits for a CPU."""
    return tick.contended or tick.busiest >= HIGHEST


def _failed(tick: Tick) -> float:
    """Failures per second that neither a busy loop nor a worker's own limit caused."""
    if _busy(tick):
        return tick.server_errors
    shed = 0.0 if tick.worker_limit > 0 else tick.shed
    return tick.server_errors + tick.cancelled + shed


def _came(tick: Tick) -> float:
    return tick.arrivals + tick.retried


def _good(tick: Tick) -> float:
    return max(0.0, tick.completed - tick.server_errors - tick.cancelled)


LEARNER = Learner(kind=Failures, learn=learn, tuning=TUNING)
