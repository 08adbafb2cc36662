"""Demand: how many requests a second come now, and will when new capacity serves.

Level. A long window is steady but late, a short one is early but noisy. The level is the mean
of the longest window that contradicts no shorter one (Lepski, 1991): from the last 6 s back to
60 s, windows grow as long as their mean lies within what chance explains of all shorter ones.
Arrivals that are independent of each other make a count of n vary by sqrt(n), so 600 requests
in 6 s are 100 +- 4 a second (one sigma). Over 60 s 94 are within two sigmas of that, and are
the level; 60 are not, and then the level is what the last window said that still agreed, moved
to 100 - 2 x 4 = 92. Where neighbouring ticks differ by more than independence explains, sigma
is that much larger.

Burst. If the newest tick alone is far above the slow rate, it is taken at once: at 20 a
second a tick of 2 s has 40 +- 6.3; 120 a second are 240, and no noise.

Trend. Half of a straight ramp looks like the other half; half of a step does not. The slope
is the lesser of the two halves', less two standard errors, and never negative. Jumps that
come at the same time every day are expected where that has proven itself (see profile.py).

Headroom. What was forecast is compared with what came, less one sigma: chance is part of what
rho* allows for. Workers are not taken back at once, so it is the highest forecast of that time
that had to suffice. A high quantile of the shortfalls of the last two minutes is added to the
next forecast, up to 30 % (split conformal prediction on a moving window: Vovk, Gammerman, Shafer,
Algorithmic Learning in a Random World, 2005). Nine in ten are to be covered. Where the past is not
like the present, the quantile 0.9 covers more or fewer, so it moves: by 0.018 up with each that
was not covered, by 0.002 down with each that was (adaptive conformal inference: Gibbs and Candes,
2021). At nine covered to one that is not it rests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, sqrt

from aiapi_operator.sizing import peaks, windows
from aiapi_operator.sizing.profile import FLAT, DailyForecast
from aiapi_operator.sizing.state import FAST_WINDOW, Forecasts, Tick

BURST_RATIO = 1.5
BURST_SIGMAS = 4.0
RISE_SIGMAS = 2.0
"""How far a longer window may lie below a shorter one."""
FALL_SIGMAS = 3.0
"""How far it may lie above: a fleet that is too large for a while costs less than the reverse."""
LONGER = 1.6
"""Each window over the one before: 6, 10, 16, 26, 42, 60 s."""
MAX_NOISE = 4.0
MIN_TICKS_FOR_NOISE = 8
COVERED = 0.9
"""Part of the forecasts that headroom is to suffice for. An objective leaves a part of each
minute's requests for the rest, and most shortfalls last for seconds."""
ADAPTS = 0.02
MIN_QUANTILE = 0.5
FIRST_HEADROOM = 0.1
"""Before a forecast of this fleet has come due."""
MAX_HEADROOM = 0.3
SHORTFALLS = 60
MIN_SHORTFALLS = 10
PENDING = 400
MIN_TICKS_FOR_TREND = 4


@dataclass(frozen=True, slots=True)
class Demand:
    """Arrivals a second: ``level`` now, ``slope`` a second, ``headroom`` as a part (0.1: 10 %)."""

    level: float
    slope: float
    headroom: float
    burst: bool
    daily: DailyForecast = FLAT
    """The jumps that come every day, which may only add."""

    def expected(self, lead: float) -> float:
        """Arrivals a second in ``lead`` seconds, headroom included.

        100 now, rising by 0.5 a second, 10 % headroom: in 35 s (100 + 17.5) x 1.1 = 129. A trend
        is followed up to twice the level.
        """
        trend = min(self.level + self.slope * lead, 2 * self.level)
        return max(trend, self.level * self.daily.ratio(lead)) * (1 + self.headroom)


def estimate(ticks: tuple[Tick, ...], forecasts: Forecasts, daily: DailyForecast = FLAT) -> Demand:
    """Demand from the ticks of the slow window; there must be one."""
    headroom = _headroom(forecasts)
    newest = ticks[-1]
    level = _level(ticks, noise(ticks))
    if _is_burst(newest, windows.mean(ticks, "arrivals")):
        return Demand(max(level, newest.arrivals), 0.0, headroom, True, daily)
    return Demand(level, _slope(ticks), headroom, False, daily)


def noise(ticks: Sequence[Tick]) -> float:
    """Variance of the requests in a tick over their mean: 1 for arrivals that are independent.

    From the differences of neighbours (von Neumann, 1941), so that a trend is no noise. 200
    requests a tick of 2 s, neighbours 28 apart: 28^2 / 2 / 200 = 2.
    """
    mean = windows.mean(ticks, "arrivals")
    if len(ticks) < MIN_TICKS_FOR_NOISE or mean <= 0:
        return 1.0
    apart = sum((after.arrivals - before.arrivals) ** 2 for before, after in pairwise(ticks))
    variance = apart / 2 / (len(ticks) - 1)
    return min(MAX_NOISE, max(1.0, variance / mean * windows.span(ticks) / len(ticks)))


def _level(ticks: Sequence[Tick], dispersion: float) -> float:
    """The mean of the longest window that contradicts no shorter one."""
    low, high = 0.0, inf
    seconds = requests = 0.0
    enough = FAST_WINDOW
    mean = 0.0
    for tick in reversed(ticks):
        seconds += tick.seconds
        requests += tick.arrivals * tick.seconds
        mean = requests / seconds
        if seconds < enough - 1e-6:
            continue
        if not low <= mean <= high:
            break
        # Under one request a second, one more or less is no contradiction.
        sigma = sqrt(max(mean, 1.0) * dispersion / seconds)
        low, high = max(low, mean - RISE_SIGMAS * sigma), min(high, mean + FALL_SIGMAS * sigma)
        enough = seconds * LONGER
    return min(max(mean, low), high)


def _is_burst(newest: Tick, slow: float) -> bool:
    count, usual = newest.arrivals * newest.seconds, slow * newest.seconds
    return (
        newest.arrivals > BURST_RATIO * slow
        and count > usual + BURST_SIGMAS * sqrt(usual) + BURST_SIGMAS
    )


def _slope(ticks: tuple[Tick, ...]) -> float:
    half = len(ticks) // 2
    if half < MIN_TICKS_FOR_TREND:
        return 0.0
    return max(0.0, min(_sure_slope(ticks[:half]), _sure_slope(ticks[half:])))


def _sure_slope(ticks: Sequence[Tick]) -> float:
    """Least-squares slope less two standard errors (arrivals vary as a Poisson count does)."""
    middle = sum(tick.time for tick in ticks) / len(ticks)
    spread = sum((tick.time - middle) ** 2 for tick in ticks)
    if spread <= 0:
        return 0.0
    rate = windows.mean(ticks, "arrivals")
    slope = sum((tick.time - middle) * (tick.arrivals - rate) for tick in ticks) / spread
    error = sqrt(rate * len(ticks) / windows.span(ticks) / spread)
    return slope - 2 * error


def _headroom(forecasts: Forecasts) -> float:
    known = learned_headroom(forecasts)
    return FIRST_HEADROOM if known is None else known


def learned_headroom(forecasts: Forecasts) -> float | None:
    """Headroom by the errors of late; None while too few forecasts have come due."""
    short = sorted(forecasts.shortfalls)
    if len(short) < MIN_SHORTFALLS:
        return None
    return min(MAX_HEADROOM, short[int(forecasts.quantile * (len(short) - 1))])


def score_forecasts(forecasts: Forecasts, ticks: tuple[Tick, ...], *, now: float) -> Forecasts:
    """Compare the forecasts that are due with what came in the last seconds of ``ticks``."""
    due = [forecast for forecast in forecasts.pending if forecast[0] <= now]
    if not due:
        return forecasts
    recent = windows.last(ticks, now=now, seconds=FAST_WINDOW)
    came = windows.mean(recent, "arrivals")
    came -= sqrt(max(came, 1.0) * noise(ticks) / windows.span(recent))
    # Under one request a second, one more or less says nothing about the forecast.
    short = tuple(max(0.0, (came - value) / max(value, 1.0)) for _, value in due)
    room = _headroom(forecasts)
    missed = sum(one > room for one in short)
    quantile = forecasts.quantile + ADAPTS * (missed - (1 - COVERED) * len(short))
    return Forecasts(
        quantile=min(1.0, max(MIN_QUANTILE, quantile)),
        pending=forecasts.pending[len(due) :],
        shortfalls=(*forecasts.shortfalls, *short)[-SHORTFALLS:],
        held=forecasts.held,
    )


def record_forecast(
    forecasts: Forecasts, demand: Demand, *, now: float, lead: float, hold: float
) -> Forecasts:
    """Remember what is forecast for ``lead`` seconds from now, without its headroom.

    What counts is the highest forecast of the last ``hold`` seconds: workers for that are still
    there. The newest for a time replaces older ones for the same time or later, which keeps the
    rest in order.
    """
    due = now + lead
    pending = tuple(old for old in forecasts.pending if old[0] < due)
    value = demand.expected(lead) / (1 + demand.headroom)
    held = peaks.push(forecasts.held, time=now, value=value, window=hold)
    highest = held[0][1]
    return Forecasts(
        quantile=forecasts.quantile,
        pending=(*pending, (due, highest))[-PENDING:],
        shortfalls=forecasts.shortfalls,
        held=held,
    )
