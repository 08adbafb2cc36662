"""Daily profile: jumps of demand that occur at the same time every day.

The trend follows a load that grows steadily, but not a jump: jobs that start at 02:00, or an office
that opens at nine. Jumps happen on the hour or half past it. So for each half hour of the day (UTC)
this learns the ratio of the five minutes after it to the five before, as a logarithm: 40 per second
until 09:00 and 160 after it are ln 4 = 1.386. Ratios, because a Sunday may have half of a Monday's
requests. Time zones are not needed, because only times 24 hours apart are compared.

Learning. A day weighs 0.3, and one day changes a jump by at most x2, so that a strange day has
little effect. Example: 1.386 is known, and a holiday has 0. It counts as 1.386 - 0.693, and the
next forecast is 1.386 - 0.3 x 0.693 = 1.178. In the first days, each day weighs as much as those
before.

Skill. Each jump is predicted before it is learned. Its squared error is compared with that of
predicting no change, over about a day: 1 - with / without (Murphy, Monthly Weather Review 116,
1988). A whole day must be known, and a quarter of another predicted. Example: one jump of 1.386,
and 47 half hours with random changes of 0.05. Without prediction the errors are 1.92 + 47 x 0.0025
= 2.04. With a jump predicted to within 0.1 and twice the random error they are 0.01 + 47 x 0.005 =
0.245. The skill is 0.88. Without skill nothing is predicted.

Forecast. If the lead time crosses a half hour, demand is multiplied by exp(0.88 x 1.386) = 3.4. It
only adds, by at most x4: a predicted fall is not used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp, isfinite, log
from typing import Any

from aiapi_operator.sizing.checkpoint import number
from aiapi_operator.sizing.entry import Learner, Saved
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.state import Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyProfileTuning:
    """Numbers of this learner."""

    slot: float = 300.0
    """Seconds before and after each half hour that are compared. Chosen: long enough for a mean."""
    most: float = 4.0
    """Factor of the largest jump. Chosen: limits the cost of a wrong prediction."""
    weight: float = 0.3
    """Weight of a new day. Chosen: three or four days replace most of what is known."""


TUNING = DailyProfileTuning()
HALF_HOUR = 1800.0
"""Seconds of half an hour. By definition."""
JUMPS = 48
"""Jumps in a day. By definition."""
MAX_TIME = 1e11
"""Seconds since 1970 of the latest valid time. The year 5138."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyProfile:
    """The jumps, their errors, and the current five minutes."""

    jumps: tuple[float, ...] = ()
    """The logarithm of the ratio for each half hour from 00:00 UTC; empty while none is known."""
    seen: int = 0
    """Number of jumps learned."""
    error: float = 0.0
    """Squared errors of the predicted jumps, summed over about a day."""
    error_without: float = 0.0
    """Squared errors of predicting no change, for the same jumps."""
    slot: int = -2
    """Number of the five minutes since 1970."""
    seconds: float = 0.0
    requests: float = 0.0
    before: float | None = None
    """Arrivals per second in the previous slot; None if less than half of it was observed."""


def skill(known: DailyProfile) -> float:
    """How much smaller the errors are than those of predicting no change: 0 (no better) to 1."""
    if known.seen < JUMPS + JUMPS / 4 or not 0 <= known.error < known.error_without:
        return 0.0
    return 1 - known.error / known.error_without


def ratio(facts: Facts, lead: float) -> float:
    """Demand in ``lead`` seconds over demand now, 1 to 4."""
    known, at = facts.get(DailyProfile), facts.spec.time_of_day
    if known is None or at is None or not 0 <= at < MAX_TIME:
        return 1.0
    first, last = int(at / HALF_HOUR) + 1, int((at + lead) / HALF_HOUR)
    good = skill(known) if last >= first else 0.0
    if good <= 0:
        return 1.0
    change = sum(known.jumps[each % JUMPS] for each in range(first, last + 1)[:JUMPS])
    return min(TUNING.most, max(1.0, exp(good * change)))


def learn(known: DailyProfile | None, facts: Facts) -> DailyProfile | None:
    """Learn from the newest tick."""
    return known if facts.tick is None else add(known, facts.tick, facts.spec.time_of_day)


def add(known: DailyProfile | None, tick: Tick, at: float | None) -> DailyProfile | None:
    """Add a tick to the current five minutes; learn from complete ones. ``at`` is in seconds since
    1970, None without a daily profile."""
    if at is None or not 0 <= at < MAX_TIME:
        return known
    known = known or DailyProfile()
    slot, requests = int(at / TUNING.slot), tick.arrivals * tick.seconds
    if slot == known.slot:
        return replace(
            known, seconds=known.seconds + tick.seconds, requests=known.requests + requests
        )
    before = _mean(known) if slot == known.slot + 1 else None
    return _begin(learn_jump(known), slot, tick, before)


def _begin(known: DailyProfile, slot: int, tick: Tick, before: float | None) -> DailyProfile:
    requests = tick.arrivals * tick.seconds
    return replace(known, slot=slot, seconds=tick.seconds, requests=requests, before=before)


def learn_jump(known: DailyProfile) -> DailyProfile:
    """Learn from the complete five minutes if they began a half hour."""
    mean, per_half_hour = _mean(known), round(HALF_HOUR / TUNING.slot)
    if known.slot % per_half_hour or mean is None or known.before is None:
        return known
    jump = _within(log(max(mean, 1.0) / max(known.before, 1.0)), log(TUNING.most))
    jumps = known.jumps or (0.0,) * JUMPS
    place = known.slot // per_half_hour % JUMPS
    days = known.seen // JUMPS
    news = jump - jumps[place]
    error, without = known.error, known.error_without
    if days:
        kept = 1 - 1 / JUMPS
        error, without = kept * error + news * news, kept * without + jump * jump
        news = _within(news, log(2))
    learned = jumps[place] + max(TUNING.weight, 1 / (1 + days)) * news
    return replace(
        known,
        jumps=(*jumps[:place], learned, *jumps[place + 1 :]),
        seen=min(known.seen + 1, 1000 * JUMPS),
        error=error,
        error_without=without,
    )


def _mean(known: DailyProfile) -> float | None:
    """Arrivals per second; None if less than half of the slot was observed."""
    return known.requests / known.seconds if known.seconds >= TUNING.slot / 2 else None


def _within(value: float, most: float) -> float:
    return min(most, max(-most, value))


def checkpoint(known: DailyProfile, saved: Saved) -> dict[str, Any]:
    """``profile``, written when a jump changed, and every quarter of a day."""
    numbers = [round(100 * jump) for jump in known.jumps]
    if not any(numbers):
        return {}
    jumps, before = " ".join(map(str, numbers)), saved.get("profile")
    if isinstance(before, Mapping) and _still_good(before, jumps, known.seen):
        return {"profile": dict(before)}
    return {
        "profile": {
            "jumps": jumps,
            "seen": known.seen,
            "errors": f"{known.error:.3g}",
            "errorsWithout": f"{known.error_without:.3g}",
        }
    }


def _still_good(written: Mapping[str, Any], jumps: str, seen: int) -> bool:
    return written.get("jumps") == jumps and seen < number(written.get("seen")) + JUMPS / 4


def restore(saved: Saved) -> DailyProfile | None:
    """Read it back; an invalid profile is ignored."""
    profile = saved.get("profile")
    if not isinstance(profile, Mapping):
        return None
    try:
        jumps = tuple(float(part) / 100 for part in str(profile.get("jumps", "")).split())
    except ValueError:
        return None
    if len(jumps) != JUMPS or not all(map(isfinite, jumps)):
        return None
    largest = log(TUNING.most)
    most = JUMPS * 4 * largest**2
    return DailyProfile(
        jumps=tuple(_within(jump, largest) for jump in jumps),
        seen=int(min(number(profile.get("seen")), 1000 * JUMPS)),
        error=min(number(profile.get("errors")), most),
        error_without=min(number(profile.get("errorsWithout")), most),
    )


LEARNER = Learner(
    kind=DailyProfile, learn=learn, checkpoint=checkpoint, restore=restore, tuning=TUNING
)
