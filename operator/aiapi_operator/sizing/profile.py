"""Daily profile: how demand changes from one half hour of the day to the next, as learned.

What comes at a time of day differs from one day to the next: a Sunday has half of a Monday's
requests. How it changes differs less. So changes are learned, not levels: the logarithm of a half
hour's arrivals over those of the half hour before. 40 a second from 08:00 and 60 from 08:30
are ln 1.5 = 0.405. The day is a day in UTC; time zones and summer time need not be known, since
only what comes 24 hours later is compared.

Learning. A day weighs 0.3 of what is known of a change, and counts as no further off than x2, so
that one strange day does not rule: 0.405 was known, and an outage makes it -1.386. It is taken as
0.405 - 0.693, and the next forecast is 0.405 - 0.3 x 0.693 = 0.197. Of the first days each weighs
as much as those before it. A half hour that was seen for less than half of it says nothing.

Skill. Before a change is learned it is foretold, and the error is compared with that of "as it is
now": 1 - with / without (Murphy, Monthly Weather Review 116, 1988, here of absolute errors, which
outliers move less), over about a day. A whole day must be known and a quarter of another foretold.
Errors of 0.1 where changes were 0.25 are a skill of 0.6. Without skill the profile says nothing.

Forecast. Between the middles of two half hours the logarithm is a straight line. From 08:30 for
45 s, with the change above and a skill of 0.6: exp(0.6 x 0.405 x 45 / 1800) = 1.006. So for pods
that start within seconds it is little, and the trend mostly knows it already; for nodes that
take ten minutes it is 1.085. It only ever adds: what it says of a decline is not heard.
"""

from dataclasses import dataclass
from math import exp, isfinite, log

from aiapi_operator.sizing.state import HalfHour, Profile, Tick

BIN = 1800.0
BINS = 48
DAY = BIN * BINS
LATEST = 1e11
"""Seconds since 1970 from which on a time is no time."""
MOST_CHANGE = log(4)
MOST_NEWS = log(2)
"""How far a day may be off what is known, once there is something."""
WEIGHT = 0.3
SEEN = BIN / 2
REMEMBERS = 1 - 1 / BINS
FORETOLD = 12
"""Changes that must have been foretold before anything hangs on it."""
MOST_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class Course:
    """The profile from one moment ``at`` (seconds of the day) on."""

    changes: tuple[float, ...]
    skill: float
    at: float

    def ratio(self, lead: float) -> float:
        """Demand in ``lead`` seconds over demand now, 1..2. See the module for an example."""
        if self.skill <= 0:
            return 1.0
        here = self.at / BIN + 0.5
        end = here + min(lead, DAY) / BIN
        change = 0.0
        while here < end:
            step = min(int(here) + 1.0, end)
            change += (step - here) * self.changes[int(here) % BINS]
            here = step
        return min(MOST_RATIO, max(1.0, exp(self.skill * change)))


FLAT = Course((), 0.0, 0.0)


def course(profile: Profile, *, at: float | None) -> Course:
    """What is to be expected from ``at`` (seconds since 1970) on: nothing while it has no skill."""
    known = skill(profile)
    if known <= 0 or at is None or not 0 <= at < LATEST:
        return FLAT
    return Course(profile.changes, known, at % DAY)


def skill(profile: Profile) -> float:
    """How much less the profile was off than "as it is now": 0 (no better) .. 1 (never off)."""
    if profile.seen < BINS + FORETOLD or not 0 <= profile.off < profile.moved:
        return 0.0
    return 1 - profile.off / profile.moved


def take(
    profile: Profile, current: HalfHour, tick: Tick, *, at: float | None
) -> tuple[Profile, HalfHour]:
    """Add a tick that ended at ``at`` (seconds since 1970); what is over is learned."""
    if at is None or not 0 <= at < LATEST:
        return profile, current
    number, requests = int(at / BIN), tick.arrivals * tick.seconds
    if number == current.number:
        return profile, HalfHour(
            number=number,
            seconds=current.seconds + tick.seconds,
            requests=current.requests + requests,
            before=current.before,
        )
    before = _mean(current) if number == current.number + 1 else None
    begun = HalfHour(number=number, seconds=tick.seconds, requests=requests, before=before)
    return learn(profile, current), begun


def learn(profile: Profile, over: HalfHour) -> Profile:
    """Take in the half hour that is over."""
    mean = _mean(over)
    if mean is None or over.before is None:
        return profile
    change = _within(log(max(mean, 1.0) / max(over.before, 1.0)), MOST_CHANGE)
    changes = profile.changes or (0.0,) * BINS
    bin_ = over.number % BINS
    known, days = changes[bin_], profile.seen // BINS
    news = change - known
    off, moved = profile.off, profile.moved
    if days:
        off = REMEMBERS * off + abs(news)
        moved = REMEMBERS * moved + abs(change)
        news = _within(news, MOST_NEWS)
    learned = known + max(WEIGHT, 1 / (1 + days)) * news
    return Profile(
        changes=(*changes[:bin_], learned, *changes[bin_ + 1 :]),
        seen=min(profile.seen + 1, 1000 * BINS),
        off=off,
        moved=moved,
    )


def sound(profile: Profile) -> Profile:
    """A profile from outside; what makes no sense is as if nothing had been learned."""
    numbers = (*profile.changes, profile.off, profile.moved)
    fine = (
        len(profile.changes) == BINS
        and all(map(isfinite, numbers))
        and 0 <= profile.seen <= 1000 * BINS
        and profile.off >= 0
        and profile.moved >= 0
    )
    if not fine:
        return Profile()
    return Profile(
        changes=tuple(_within(change, MOST_CHANGE) for change in profile.changes),
        seen=profile.seen,
        off=min(profile.off, BINS * 2 * MOST_CHANGE),
        moved=min(profile.moved, BINS * 2 * MOST_CHANGE),
    )


def _mean(half_hour: HalfHour) -> float | None:
    """Arrivals a second, where enough of it was seen."""
    return half_hour.requests / half_hour.seconds if half_hour.seconds >= SEEN else None


def _within(value: float, most: float) -> float:
    return min(most, max(-most, value))
