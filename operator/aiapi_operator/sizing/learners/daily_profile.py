"""Daily profile: jumps of demand that come at the same time every day.

A load that grows steadily is followed by its trend in good time. A jump is not: jobs that start at
02:00, an office that opens at nine. Such things happen on the hour or half past it. So what is
learned is by how much the five minutes after each half hour differ from the five before, as the
logarithm of their ratio: 40 per second until 09:00 and 160 from then on are ln 4 = 1.386. Ratios,
since a Sunday may have half of a Monday's requests. The day is a day in UTC; time zones need not be
known, since only what comes 24 hours later is compared.

Learning. A day weighs 0.3 of what is known of a jump, and counts as no further off than x2, so
that one strange day does not rule: 1.386 was known, and a holiday makes it 0. It is taken as 1.386
- 0.693, and the next forecast is 1.386 - 0.3 x 0.693 = 1.178. Of the first days each weighs as
much as those before it.

Skill. Before a jump is learned it is predicted, and the squared error is compared with that of "as
it is now": 1 - with / without (Murphy, Monthly Weather Review 116, 1988), over about a day. A whole
day must be known, and a quarter of another predicted. One jump of 1.386 and 47 half hours that only
chance moves, by 0.05: 1.92 + 47 x 0.0025 = 2.04 without. Predicted to 0.1, and what chance did to
twice its square: 0.01 + 47 x 0.005 = 0.245 with. The skill is 0.88. Without skill nothing is
predicted.

Forecast. Where the time from now to the end of the lead crosses a half hour, demand is multiplied
by exp(0.88 x 1.386) = 3.4. It only ever adds, and at most x4: a predicted fall is not used.
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
    """Seconds before and after each half hour that are compared."""
    most: float = 4.0
    """Highest ratio of a jump."""
    weight: float = 0.3
    """Weight of a day."""
    predictions: int = 12
    """Jumps that must have been predicted before anything depends on it."""


TUNING = DailyProfileTuning()
HALF_HOUR = 1800.0
JUMPS = 48
MAX_TIME = 1e11
"""Seconds since 1970 from which on a time makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyProfile:
    """The jumps, how good they are, and the five minutes that go on now."""

    jumps: tuple[float, ...] = ()
    """For each half hour from 00:00 UTC the logarithm of the ratio; empty while none is known."""
    seen: int = 0
    """Jumps that were learned in all."""
    error: float = 0.0
    """Squared errors of the predicted jumps, summed over about a day."""
    error_without: float = 0.0
    """Squared errors that "as it is now" would have made of the same ones."""
    slot: int = -2
    """Number of the five minutes since 1970."""
    seconds: float = 0.0
    requests: float = 0.0
    before: float | None = None
    """Arrivals per second in the slot before; None where too little of it was seen."""


def skill(known: DailyProfile) -> float:
    """How much smaller the errors are than those of "as it is now": 0 (no better) to 1."""
    if known.seen < JUMPS + TUNING.predictions or not 0 <= known.error < known.error_without:
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
    """Add the newest tick to the five minutes that go on; learn from those that are over."""
    at, tick = facts.spec.time_of_day, facts.tick
    if tick is None or at is None or not 0 <= at < MAX_TIME:
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
    """Take in the five minutes that are over, where a half hour began with them."""
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
    """Arrivals per second, where at least half of the slot was seen."""
    return known.requests / known.seconds if known.seconds >= TUNING.slot / 2 else None


def _within(value: float, most: float) -> float:
    return min(most, max(-most, value))


def checkpoint(known: DailyProfile, saved: Saved) -> dict[str, Any]:
    """``profile``, written when a jump changed or a quarter of a day was seen."""
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
    """Read it back; a profile that makes no sense counts as none."""
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
