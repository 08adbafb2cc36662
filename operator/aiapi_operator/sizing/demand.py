"""Demand: how many requests a second come now, and will when new capacity serves.

Level. The slow rate is steady but late, the fast one is early but noisy. The level is the
slow rate as far as the fast one allows: arrivals that are independent of each other make a
count of n vary by sqrt(n), so 600 requests in 6 s are 100 +- 4 a second (one sigma). A slow
rate of 98 is within that and is taken; one of 60 is not, and is raised to 100 - 1.5 x 4 = 94.
When demand falls, the slow rate is lowered to three sigmas above the fast one.

Burst. If the newest tick alone is far above the slow rate, it is taken at once: at 20 a
second a tick of 2 s has 40 +- 6.3; 120 a second are 240, and no noise.

Trend. Half of a straight ramp looks like the other half; half of a step does not. The slope
is the lesser of the two halves', less two standard errors, and never negative.

Headroom. What was forecast is compared with what came. The shortfall that nine in ten
forecasts stayed under is added to the next one, up to 30 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from aiapi_operator.sizing import windows
from aiapi_operator.sizing.state import FAST_WINDOW, Forecasts, Tick

BURST_RATIO = 1.5
BURST_SIGMAS = 4.0
RISE_SIGMAS = 1.5
FALL_SIGMAS = 3.0
FIRST_HEADROOM = 0.1
"""Before a forecast of this fleet has come due."""
MOST_HEADROOM = 0.3
SHORTFALLS = 60
PENDING = 400
FEWEST_FOR_TREND = 4


@dataclass(frozen=True, slots=True)
class Demand:
    """Arrivals a second: ``level`` now, ``slope`` a second, ``headroom`` as a part (0.1: 10 %)."""

    level: float
    slope: float
    headroom: float
    burst: bool

    def expected(self, lead: float) -> float:
        """Arrivals a second in ``lead`` seconds, headroom included; at most twice the level.

        100 now, rising by 0.5 a second, 10 % headroom: in 35 s (100 + 17.5) x 1.1 = 129.
        """
        return min(self.level + self.slope * lead, 2 * self.level) * (1 + self.headroom)


def estimate(ticks: tuple[Tick, ...], forecasts: Forecasts, *, now: float) -> Demand:
    """Demand from the ticks of the slow window; there must be one."""
    recent = windows.last(ticks, now=now, seconds=FAST_WINDOW)
    slow, fast = windows.mean(ticks, "arrivals"), windows.mean(recent, "arrivals")
    sigma = sqrt(fast / windows.span(recent))
    level = min(max(slow, fast - RISE_SIGMAS * sigma), fast + FALL_SIGMAS * sigma)
    headroom = _headroom(forecasts)
    newest = ticks[-1]
    if _is_burst(newest, slow):
        return Demand(max(level, newest.arrivals), 0.0, headroom, burst=True)
    return Demand(level, _slope(ticks), headroom, burst=False)


def _is_burst(newest: Tick, slow: float) -> bool:
    count, usual = newest.arrivals * newest.seconds, slow * newest.seconds
    return (
        newest.arrivals > BURST_RATIO * slow
        and count > usual + BURST_SIGMAS * sqrt(usual) + BURST_SIGMAS
    )


def _slope(ticks: tuple[Tick, ...]) -> float:
    half = len(ticks) // 2
    if half < FEWEST_FOR_TREND:
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
    short = sorted(forecasts.shortfalls)
    if len(short) < 10:
        return FIRST_HEADROOM
    return min(MOST_HEADROOM, short[int(0.9 * (len(short) - 1))])


def settle(forecasts: Forecasts, arrivals: float, *, now: float) -> Forecasts:
    """Compare the forecasts that are due with the ``arrivals`` a second that came."""
    due = [forecast for forecast in forecasts.pending if forecast[0] <= now]
    if not due:
        return forecasts
    # Under one request a second, one more or less says nothing about the forecast.
    short = tuple(max(0.0, (arrivals - value) / max(value, 1.0)) for _, value in due)
    return Forecasts(
        pending=forecasts.pending[len(due) :],
        shortfalls=(*forecasts.shortfalls, *short)[-SHORTFALLS:],
    )


def promise(forecasts: Forecasts, demand: Demand, *, now: float, lead: float) -> Forecasts:
    """Remember what is forecast, without its headroom, for ``lead`` seconds from now.

    The newest forecast for a time is the one that counts: older ones for the same time or
    later are dropped, which keeps the rest in order.
    """
    due = now + lead
    pending = tuple(old for old in forecasts.pending if old[0] < due)
    value = demand.expected(lead) / (1 + demand.headroom)
    return Forecasts(pending=(*pending, (due, value))[-PENDING:], shortfalls=forecasts.shortfalls)
