"""Daily profile: jumps of demand that occur at the same time every day.

The trend follows steady growth in time: workers take a second, and pods less time than most loads
take to grow. What a trend cannot predict is a jump: jobs that start at 02:00, an office that opens
at nine. Such jumps happen on the hour or half hour. So the profile learns the ratio of the five
minutes after each half hour to the five minutes before, as a logarithm: 40 rps until 09:00 and 160
rps afterwards are ln 4 = 1.386. Ratios are used because a Sunday may have half of a Monday's
requests. A day is a UTC day; the time zone is not needed, because only times 24 hours apart are
compared.

Learning. A new day weighs 0.3 and is limited to a factor of x2, so that one unusual day does not
dominate: 1.386 was known, and a holiday has 0. It counts as 1.386 - 0.693, and the next forecast is
1.386 - 0.3 x 0.693 = 1.178. Each of the first days weighs as much as those before it. Five minutes
with samples for less than half are ignored.

Skill. Each jump is predicted before it is learned, and the squared error is compared with that of
predicting no change: 1 - with / without (Murphy, Monthly Weather Review 116, 1988), over about a
day. A whole day must be known, and a quarter of another predicted. Example: one jump of 1.386 and
47 half hours that only vary by chance, by 0.05: 1.92 + 47 x 0.0025 = 2.04 without. Predicted to
within 0.1, and twice the variance of chance: 0.01 + 47 x 0.005 = 0.245 with. The skill is 0.88.
Without skill no jump is predicted; a weekend after five working days ends it within a jump or two.

Forecast. If the lead time crosses a half hour, demand is multiplied: by exp(0.88 x 1.386) = 3.4,
from 35 s + the pod start time before 09:00 for pods, and from 3 s before for workers. The profile
only adds demand, at most x4: predicted falls are ignored.
"""

from dataclasses import dataclass
from math import exp, isfinite, log

from aiapi_operator.sizing.state import Profile, ProfileSlot, Tick

SLOT = 300.0
HALF_HOUR = 1800.0
SLOTS = 6
"""Slots in a half hour."""
JUMPS = 48
MAX_TIME = 1e11
"""Upper bound of a valid time, in seconds since 1970."""
MAX_RATIO = 4.0
MAX_JUMP = log(MAX_RATIO)
MAX_UPDATE = log(2)
"""Maximum change by one day, once a jump is known."""
WEIGHT = 0.3
MIN_SECONDS = SLOT / 2
REMEMBERS = 1 - 1 / JUMPS
MIN_FORECASTS = 12
"""Jumps that must have been predicted before the profile is used."""
UNKNOWN = Profile()


@dataclass(frozen=True, slots=True)
class DailyForecast:
    """The profile as seen from ``at`` (seconds of the day)."""

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
    """The forecast from ``at`` (seconds since 1970); flat while there is no skill."""
    known = skill(profile)
    if known <= 0 or at is None or not 0 <= at < MAX_TIME:
        return FLAT
    return DailyForecast(profile.jumps, known, at % (JUMPS * HALF_HOUR))


def skill(profile: Profile) -> float:
    """How much smaller the errors are than with no prediction: 0 (not smaller) .. 1 (no errors)."""
    if profile.seen < JUMPS + MIN_FORECASTS or not 0 <= profile.off < profile.moved:
        return 0.0
    return 1 - profile.off / profile.moved


def add_tick(
    profile: Profile, current: ProfileSlot, tick: Tick, *, at: float | None
) -> tuple[Profile, ProfileSlot]:
    """Adds a tick that ended at ``at`` (seconds since 1970); completed slots are learned."""
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
    """Learns from a completed slot if a half hour started with it."""
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
    """A profile from outside; an invalid one counts as unknown."""
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
    """Arrivals per second, if the slot has enough samples."""
    return slot.requests / slot.seconds if slot.seconds >= MIN_SECONDS else None


def _within(value: float, most: float) -> float:
    return min(most, max(-most, value))
