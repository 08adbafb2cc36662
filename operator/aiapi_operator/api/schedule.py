"""Schedules: floors that hold at certain times of the week, for load that is known to come.

``floors(schedules, now)`` is pure: the operator and the simulator call it with the time of day
they have, and the right-sizer is told numbers only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from aiapi_operator.api import cron
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.api.model import Model
from aiapi_operator.api.rules import Rule
from aiapi_operator.api.scalars import Int, PositiveDuration

MAX_WORKERS = 64
MAX_REPLICAS = 10_000

_CRON_MESSAGE = (
    "must be a cron expression of five fields (minute, hour, day of month, month, day of week),"
    ' such as "0 8 * * 1-5"'
)
_LONGEST_CRON = 100


def _require_occurrence(text: str) -> str:
    if not cron.has_occurrence(text):
        raise ValueError(f"{text!r} names no time that there ever is: check days and ranges")
    return text


def _require_zone(name: str) -> str:
    if not cron.is_zone(name):
        raise ValueError(
            f"timeZone {name!r} is not in the time zone database: write it like Europe/Berlin"
        )
    return name


Cron = Annotated[
    str,
    Field(max_length=_LONGEST_CRON),
    Rule(
        cel=f"self.matches(r'{cron.PATTERN}')",
        message=_CRON_MESSAGE,
        holds=cron.looks_like_cron,
    ),
    AfterValidator(_require_occurrence),
]
TimeZone = Annotated[
    str,
    Field(max_length=64),
    Rule(
        cel=f"self.matches(r'{cron.ZONE_PATTERN}')",
        message="timeZone must be a name of the IANA time zone database, such as Europe/Berlin",
        holds=cron.looks_like_zone,
    ),
    AfterValidator(_require_zone),
]


class Schedule(Model):
    """A time of the week for which the fleet has floors of its own, such as office hours."""

    name: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """What reasons call it, such as office-hours."""
    start: Cron
    """When it begins, as a cron expression of five fields, such as "0 8 * * 1-5". Pods are
    ordered ahead of it by the time that they take, so that they serve when it begins."""
    end: Cron | None = None
    """When it ends, as a cron expression, such as "0 20 * * 1-5". Either this or duration."""
    duration: PositiveDuration | None = None
    """How long it holds, such as 12h. Either this or end."""
    time_zone: TimeZone = "Etc/UTC"
    """IANA time zone of start and end, such as Europe/Berlin, with its summer time."""
    min_replicas: Annotated[Int, Field(ge=0, le=MAX_REPLICAS)] = 0
    """Fewest pods while it holds. replicas.max stays the limit."""
    min_workers: Annotated[Int, Field(ge=0, le=MAX_WORKERS)] = 0
    """Fewest workers in each pod while it holds. workers.max stays the limit."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.end) != has(self.duration)",
            message="a schedule has either end or duration: set exactly one of them",
            holds=lambda one: (one.end is None) != (one.duration is None),
        ),
        Rule(
            cel="!has(self.end) || self.end != self.start",
            message="end must not be the same as start: a schedule that ends when it begins"
            " never holds",
            holds=lambda one: one.end != one.start,
        ),
        Rule(
            cel="self.minReplicas > 0 || self.minWorkers > 0",
            message="a schedule must set minReplicas or minWorkers above zero",
            holds=lambda one: one.min_replicas > 0 or one.min_workers > 0,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The least that a schedule asks for; 0 asks for nothing. ``name`` is for reasons."""

    workers: int = 0
    replicas: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpcomingFloor:
    """A floor that is to hold in ``seconds``."""

    floor: Floor
    seconds: float


def label(schedule: Schedule) -> str:
    """What the time of a schedule is called in reasons."""
    return schedule.name or f"{schedule.start} {schedule.time_zone}"


def active(schedules: Sequence[Schedule], *, now: float) -> tuple[Floor, ...]:
    """The floors of the schedules that hold ``now`` (seconds since 1970, UTC)."""
    return tuple(_floor(one) for one in schedules if _is_active(one, _moment(one, now)))


def upcoming(schedules: Sequence[Schedule], *, now: float) -> tuple[UpcomingFloor, ...]:
    """The floors of the schedules that do not hold ``now``, and when each next begins."""
    found = []
    for one in schedules:
        at = _moment(one, now)
        if not _is_active(one, at):
            begins = cron.next_occurrence(one.start, at).timestamp()
            found.append(UpcomingFloor(floor=_floor(one), seconds=begins - now))
    return tuple(found)


def _floor(schedule: Schedule) -> Floor:
    return Floor(workers=schedule.min_workers, replicas=schedule.min_replicas, name=label(schedule))


def _moment(schedule: Schedule, now: float) -> datetime:
    return datetime.fromtimestamp(now, tz=UTC).astimezone(ZoneInfo(schedule.time_zone))


def _is_active(schedule: Schedule, at: datetime) -> bool:
    # A time that is named is the first moment that counts, and "before" leaves it out.
    until = at + timedelta(microseconds=1)
    began = cron.previous_occurrence(schedule.start, until)
    if schedule.duration is not None:
        return at.timestamp() - began.timestamp() < parse_duration(schedule.duration)
    return schedule.end is not None and cron.previous_occurrence(schedule.end, until) < began
