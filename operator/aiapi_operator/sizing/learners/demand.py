"""Demand: how many requests arrive per second now, and when new capacity will serve.

Level. A long window is steady but late; a short one is early but noisy. The level is the mean of
the longest window, from 6 s to 60 s, that is consistent with all shorter ones (Lepski, 1991).
Independent arrivals make a count of n vary by sqrt(n), so 600 requests in 6 s are 100 +- 4 per
second (one sigma). 94 per second over 60 s are within two sigmas of that, and are the level. 70 are
not: then the level is as close to them as the shorter windows allow, 100 - 2 x 4 = 92. If
consecutive ticks differ by more than independent arrivals would, sigma is larger by as much.

Burst. If the newest tick alone is far above the mean of the minute, it counts immediately: at 20
per second a tick of 2 s has 40 +- 6.3 requests, and 240 requests are not noise.

Trend. The two halves of a straight ramp have the same slope; those of a step do not. The slope is
the lower of the two, less two standard errors, and never negative: the level follows a fall. Jumps
at the same time every day are in daily_profile.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from operator import sub

from aiapi_operator.sizing.entry import Learner
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.learners import daily_profile
from aiapi_operator.sizing.state import FAST_WINDOW, SLOW_WINDOW, Tick
from aiapi_operator.sizing.windows import CHANCE, mean, span


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandTuning:
    """Numbers of this learner."""

    headroom: float = 0.03
    """Share added to the expected demand. The error of a level that is known well: one sigma of
    1,000 requests."""
    burst: float = 1.5
    """Factor on the mean of the minute from which the newest tick is a burst. Chosen: less is
    covered by the level within 6 s."""
    burst_sigmas: float = 4.0
    """Sigmas above the mean of the minute for a burst. By chance one in 30,000 ticks."""
    fall_sigmas: float = 3.0
    """Sigmas that it may be above. A fleet that is too large for a while costs less than the
    reverse."""
    longer: float = 1.6
    """Factor between the lengths of windows. It makes six: 6, 10, 16, 26, 42 and 60 s."""


TUNING = DemandTuning()
MOST_DISPERSION = 4.0
"""Factor of the largest dispersion. Chosen: erratic arrivals must not hide a rise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Arrivals per second: ``level`` now, ``slope`` per second."""

    level: float
    slope: float = 0.0
    burst: bool = False


def expected(facts: Facts, lead: float) -> float:
    """Arrivals per second in ``lead`` seconds, including headroom.

    100 now, rising by 0.5 per second, headroom 3 %: in 35 s (100 + 17.5) x 1.03 = 121. A trend is
    followed up to twice the level, and no further ahead than the minute it was seen in.
    """
    known = facts.get(Demand)
    if known is None:
        return facts.mean("arrivals")
    trend = min(known.level + known.slope * min(lead, SLOW_WINDOW), 2 * known.level)
    daily = known.level * daily_profile.ratio(facts, lead)
    return max(trend, daily) * (1 + TUNING.headroom)


def learn(known: Demand | None, facts: Facts) -> Demand | None:
    """The demand from the ticks of the last minute."""
    if facts.tick is None:
        return known
    newest = facts.tick
    usual = mean(facts.ticks, "arrivals")
    level = _level(facts.ticks, dispersion(facts.ticks, usual))
    if _is_burst(newest, usual):
        return Demand(level=max(level, newest.arrivals), burst=True)
    return Demand(level=level, slope=_slope(facts.ticks))


def dispersion(ticks: Sequence[Tick], usual: float) -> float:
    """Variance of the requests per tick over their mean: 1 for independent arrivals.

    Computed from the differences of consecutive ticks (von Neumann, 1941), so that a trend is not
    noise. 200 requests per tick of 2 s, and differences of 28: 28^2 / 2 / 200 = 2.
    """
    if len(ticks) < 8 or usual <= 0:
        return 1.0
    arrivals = [tick.arrivals for tick in ticks]
    steps: list[float] = list(map(sub, arrivals[1:], arrivals))
    apart: float = sum([step**2 for step in steps])
    variance = apart / 2 / (len(ticks) - 1)
    return min(MOST_DISPERSION, max(1.0, variance / usual * span(ticks) / len(ticks)))


def _level(ticks: Sequence[Tick], spread: float) -> float:
    """The mean of the longest window that is consistent with all shorter ones."""
    low, high = 0.0, inf
    seconds = requests = 0.0
    enough = FAST_WINDOW
    found = 0.0
    for tick in reversed(ticks):
        seconds += tick.seconds
        requests += tick.arrivals * tick.seconds
        if seconds < enough - 1e-6:
            continue
        found = requests / seconds
        if not low <= found <= high:
            break
        # Under one request per second, one more or less is within chance.
        sigma = sqrt(max(found, 1.0) * spread / seconds)
        low = max(low, found - CHANCE * sigma)
        high = min(high, found + TUNING.fall_sigmas * sigma)
        enough = seconds * TUNING.longer
    else:
        found = requests / seconds
    return min(max(found, low), high)


def _is_burst(newest: Tick, usual: float) -> bool:
    count, expected_count = newest.arrivals * newest.seconds, usual * newest.seconds
    sigmas = TUNING.burst_sigmas * (sqrt(expected_count) + 1)
    return newest.arrivals > TUNING.burst * usual and count > expected_count + sigmas


def _slope(ticks: tuple[Tick, ...]) -> float:
    half = len(ticks) // 2
    if half < 4:
        return 0.0
    early = _sure_slope(ticks[:half])
    return min(early, _sure_slope(ticks[half:])) if early > 0 else 0.0


def _sure_slope(ticks: Sequence[Tick]) -> float:
    """Least-squares slope less two standard errors (arrivals vary as a Poisson count does).

    Zero if that is negative.
    """
    middle = sum([tick.time for tick in ticks]) / len(ticks)
    apart = [tick.time - middle for tick in ticks]
    spread = sum([each**2 for each in apart])
    if spread <= 0:
        return 0.0
    rate = mean(ticks, "arrivals")
    slope = sum([each * (tick.arrivals - rate) for each, tick in zip(apart, ticks, strict=True)])
    if slope <= 0:
        return 0.0
    slope /= spread
    return max(0.0, slope - CHANCE * sqrt(rate * len(ticks) / span(ticks) / spread))


LEARNER = Learner(kind=Demand, learn=learn, tuning=TUNING)
