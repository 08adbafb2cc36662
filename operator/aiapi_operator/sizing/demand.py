"""Estimates the demand: requests per second now, and when new capacity is ready.

Level. A long window is steady but late; a short one is early but noisy. The level is the mean of
the longest window that is consistent with all shorter ones (Lepski, 1991). Windows grow from the
last 6 s to 60 s while their mean lies within the chance variation of all shorter ones. A count of n
independent arrivals varies by sqrt(n), so 600 requests in 6 s are 100 +- 4 rps (one sigma). If the
mean over 60 s is 94 rps, it is within two sigmas and becomes the level. If it is 60, it is not;
then the level is the mean of the last consistent window, moved to 100 - 2 x 4 = 92. Where
consecutive ticks differ by more than independence explains, sigma is larger by that ratio.

Burst. If the newest tick is far above the slow rate, it takes effect immediately: at 20 rps a tick
of 2 s has 40 +- 6.3 requests; 240 requests (120 rps) are not noise.

Trend. On a steady ramp both halves of the window have the same slope; on a step they do not. The
slope is the smaller of the two, less two standard errors, and never negative. Jumps at the same
time every day are added once they have proven predictable (see profile.py).

Headroom. Each forecast is compared with the arrivals that followed, less one sigma, because rho*
already allows for chance. Workers are not removed immediately, so the highest forecast of that time
had to suffice. A high quantile of the shortfalls of the last two minutes is added to the next
forecast, up to 30 % (split conformal prediction on a moving window: Vovk, Gammerman, Shafer,
Algorithmic Learning in a Random World, 2005). The goal is to cover nine in ten. When the past
differs from the present, the quantile 0.9 covers more or fewer, so it adapts: up by 0.018 for each
forecast not covered, down by 0.002 for each that was (adaptive conformal inference: Gibbs and
Candes, 2021). It is stable at nine covered for each one that is not.
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
"""How far it may lie above: a temporarily oversized fleet costs less than the reverse."""
LONGER = 1.6
"""Ratio of consecutive window lengths: 6, 10, 16, 26, 42, 60 s."""
MAX_NOISE = 4.0
MIN_TICKS_FOR_NOISE = 8
COVERED = 0.9
"""Share of the forecasts that headroom should cover. The objective tolerates the rest, and most
shortfalls last for seconds."""
ADAPTS = 0.02
MIN_QUANTILE = 0.5
FIRST_HEADROOM = 0.1
"""Headroom before the first forecast of this fleet is due."""
MAX_HEADROOM = 0.3
SHORTFALLS = 60
MIN_SHORTFALLS = 10
PENDING = 400
MIN_TICKS_FOR_TREND = 4


@dataclass(frozen=True, slots=True)
class Demand:
    """Arrivals per second: ``level`` now, ``slope`` per second, ``headroom`` as a fraction."""

    level: float
    slope: float
    headroom: float
    burst: bool
    daily: DailyForecast = FLAT
    """The daily jumps; they only add demand."""

    def expected(self, lead: float) -> float:
        """Arrivals per second in ``lead`` seconds, including headroom.

        100 now, rising by 0.5 per second, 10 % headroom: in 35 s (100 + 17.5) x 1.1 = 129. A trend
        is followed up to twice the level.
        """
        trend = min(self.level + self.slope * lead, 2 * self.level)
        return max(trend, self.level * self.daily.ratio(lead)) * (1 + self.headroom)


def estimate(ticks: tuple[Tick, ...], forecasts: Forecasts, daily: DailyForecast = FLAT) -> Demand:
    """The demand from the ticks of the slow window (at least one)."""
    headroom = _headroom(forecasts)
    newest = ticks[-1]
    level = _level(ticks, noise(ticks))
    if _is_burst(newest, windows.mean(ticks, "arrivals")):
        return Demand(max(level, newest.arrivals), 0.0, headroom, True, daily)
    return Demand(level, _slope(ticks), headroom, False, daily)


def noise(ticks: Sequence[Tick]) -> float:
    """Variance of the requests in a tick over their mean: 1 for independent arrivals.

    Uses the differences of consecutive ticks (von Neumann, 1941), so a trend does not count as
    noise. 200 requests in a tick of 2 s, consecutive ticks 28 apart: 28^2 / 2 / 200 = 2.
    """
    mean = windows.mean(ticks, "arrivals")
    if len(ticks) < MIN_TICKS_FOR_NOISE or mean <= 0:
        return 1.0
    apart = sum((after.arrivals - before.arrivals) ** 2 for before, after in pairwise(ticks))
    variance = apart / 2 / (len(ticks) - 1)
    return min(MAX_NOISE, max(1.0, variance / mean * windows.span(ticks) / len(ticks)))


def _level(ticks: Sequence[Tick], dispersion: float) -> float:
    """The mean of the longest window that is consistent with all shorter ones."""
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
        # Under one request per second, one more or less is not a contradiction.
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
    """Least-squares slope less two standard errors (for Poisson arrivals)."""
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
    """Headroom from recent errors; None while too few forecasts are due."""
    short = sorted(forecasts.shortfalls)
    if len(short) < MIN_SHORTFALLS:
        return None
    return min(MAX_HEADROOM, short[int(forecasts.quantile * (len(short) - 1))])


def score_forecasts(forecasts: Forecasts, ticks: tuple[Tick, ...], *, now: float) -> Forecasts:
    """Compares the forecasts that are due with the recent arrivals."""
    due = [forecast for forecast in forecasts.pending if forecast[0] <= now]
    if not due:
        return forecasts
    recent = windows.last(ticks, now=now, seconds=FAST_WINDOW)
    came = windows.mean(recent, "arrivals")
    came -= sqrt(max(came, 1.0) * noise(ticks) / windows.span(recent))
    # Under one request per second, one more or less does not test the forecast.
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
    """Stores the forecast for ``lead`` seconds from now, without its headroom.

    The value is the highest forecast of the last ``hold`` seconds, because workers for it are still
    running. It replaces older forecasts for the same time or later, which keeps the list sorted.
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
