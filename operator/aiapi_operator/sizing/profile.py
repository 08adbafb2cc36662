"""Daily profile: jumps of demand that come at the same time every day.

A load that grows steadily is followed by its trend in good time: workers take a second, and pods
less time than most loads take to grow. What no trend foretells is the jump: jobs that start at
02:00, an office that opens at nine. Such things happen on the hour or half past it. So what is
learned is by how much the five minutes after each half hour differ from the five before, as the
logarithm of their ratio: 40 a second until 09:00 and 160 from then on are ln 4 = 1.386. Ratios,
since a Sunday may have half of a Monday's requests. The day is a day in UTC; time zones need not be
known, since only what comes 24 hours later is compared.

Learning. A day weighs 0.3 of what is known of a jump, and counts as no further off than x2, so
that one strange day does not rule: 1.386 was known, and a holiday makes it 0. It is taken as
1.386 - 0.693, and the next forecast is 1.386 - 0.3 x 0.693 = 1.178. Of the first days each weighs
as much as those before it. Minutes that were seen for less than half say nothing.

Skill. Before a jump is learned it is foretold, and the squared error is compared with that of "as
it is now": 1 - with / without (Murphy, Monthly Weather Review 116, 1988), over about a day. A whole
day must be known, and a quarter of another foretold. One jump of 1.386 and 47 half hours that only
chance moves, by 0.05: 1.92 + 47 x 0.0025 = 2.04 without. Foretold to 0.1, and what chance did to
twice its square: 0.01 + 47 x 0.005 = 0.245 with. The skill is 0.88. Without skill nothing is
foretold; a week-end after five working days ends it within a jump or two.

Forecast. Where the way from now to the end of the lead time crosses a half hour, demand is
multiplied: by exp(0.88 x 1.386) = 3.4, from 35 s + the start of a pod before 09:00 for pods, and
from 3 s before for workers. It only ever adds, and at most x4: a foretold fall is not heard.
"""

from dataclasses import dataclass
from math import exp, isfinite, log

from aiapi_operator.sizing.state import Profile, ProfileSlot, Tick

SLOT = 300.0
HALF_HOUR = 1800.0
SLOTS = 6
"""In a half hour."""
JUMPS = 48
MAX_TIME = 1e11
"""Seconds since 1970 from which on a time is no time."""
MAX_RATIO = 4.0
MAX_JUMP = log(MAX_RATIO)
MAX_UPDATE = log(2)
"""How far a day may be off what is known, once there is something."""
WEIGHT = 0.3
MIN_SECONDS = SLOT / 2
REMEMBERS = 1 - 1 / JUMPS
MIN_FORECASTS = 12
"""Jumps that must have been foretold before anything hangs on it."""
UNKNOWN = Profile()


@dataclass(frozen=True, slots=True)
class DailyForecast:
    """The profile from one moment ``at`` (seconds of the day) on."""

    jumps: tuple[float, ...]
    skill: float
    at: float

    def ratio(self, lead: float) -> float:
        """Demand in ``lead`` seconds over demand now, 1..4. See the module for an example."""
        if self.skill <= 0:
            return 1.0
        first = int(self.at / HALF_HOUR) + 1
        last = int((self.at + lead) / HALF_HOUR)
        if last < first:
            return 1.0
        change = sum(self.jumps[number % JUMPS] for number in range(first, last + 1)[:JUMPS])
        return min(MAX_RATIO, max(1.0, exp(self.skill * change)))


FLAT = DailyForecast((), 0.0, 0.0)


def forecast(profile: Profile, *, at: float | None) -> DailyForecast:
    """What is to be expected from ``at`` (seconds since 1970) on: nothing while it has no skill."""
    known = skill(profile)
    if known <= 0 or at is None or not 0 <= at < MAX_TIME:
        return FLAT
    return DailyForecast(profile.jumps, known, at % (JUMPS * HALF_HOUR))


def skill(profile: Profile) -> float:
    """How much less the profile was off than "as it is now": 0 (no better) .. 1 (never off)."""
    if profile.seen < JUMPS + MIN_FORECASTS or not 0 <= profile.off < profile.moved:
        return 0.0
    return 1 - profile.off / profile.moved


def add_tick(
    profile: Profile, current: ProfileSlot, tick: Tick, *, at: float | None
) -> tuple[Profile, ProfileSlot]:
    """Add a tick that ended at ``at`` (seconds since 1970); what is over is learned."""
    if at is None or not 0 <= at < MAX_TIME:
        return profile, current
    number, requests = int(at / SLOT), tick.arrivals * tick.seconds
    if number == current.number:
        return profile, ProfileSlot(
            number=number,
            seconds=current.seconds + tick.seconds,
            requests=current.requests + requests,
            before=current.before,
        )
    before = _mean(current) if number == current.number + 1 else None
    begun = ProfileSlot(number=number, seconds=tick.seconds, requests=requests, before=before)
    return learn(profile, current), begun


def learn(profile: Profile, over: ProfileSlot) -> Profile:
    """Take in the five minutes that are over, where a half hour began with them."""
    mean = _mean(over)
    if over.number % SLOTS or mean is None or over.before is None:
        return profile
    jump = log(min(MAX_RATIO, max(1 / MAX_RATIO, max(mean, 1.0) / max(over.before, 1.0))))
    jumps = profile.jumps or (0.0,) * JUMPS
    place = over.number // SLOTS % JUMPS
    known, days = jumps[place], profile.seen // JUMPS
    news = jump - known
    off, moved = profile.off, profile.moved
    if days:
        off = REMEMBERS * off + news * news
        moved = REMEMBERS * moved + jump * jump
        news = _within(news, MAX_UPDATE)
    learned = known + max(WEIGHT, 1 / (1 + days)) * news
    return Profile(
        jumps=(*jumps[:place], learned, *jumps[place + 1 :]),
        seen=min(profile.seen + 1, 1000 * JUMPS),
        off=off,
        moved=moved,
    )


def sanitized(profile: Profile) -> Profile:
    """A profile from outside; what makes no sense is as if nothing had been learned."""
    fine = (
        len(profile.jumps) == JUMPS
        and all(map(isfinite, (*profile.jumps, profile.off, profile.moved)))
        and min(profile.seen, profile.off, profile.moved) >= 0
    )
    if not fine:
        return UNKNOWN
    most = JUMPS * 4 * MAX_JUMP**2
    return Profile(
        jumps=tuple(_within(jump, MAX_JUMP) for jump in profile.jumps),
        seen=min(profile.seen, 1000 * JUMPS),
        off=min(profile.off, most),
        moved=min(profile.moved, most),
    )


def _mean(slot: ProfileSlot) -> float | None:
    """Arrivals a second, where enough of it was seen."""
    return slot.requests / slot.seconds if slot.seconds >= MIN_SECONDS else None


def _within(value: float, most: float) -> float:
    return min(most, max(-most, value))
