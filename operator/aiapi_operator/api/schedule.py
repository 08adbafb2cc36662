"""Schedules: higher minimums at certain times of the week, for load that is expected.

``active`` and ``upcoming`` are pure: the operator and the simulator pass the time, and the
right-sizer receives only numbers.
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
        raise ValueError(f"{text!r} never matches any date: check the days and ranges")
    return text


def _require_zone(name: str) -> str:
    if not cron.is_zone(name):
        raise ValueError(
            f"timeZone {name!r} is not in the IANA time zone database: use a name such as"
            " Europe/Berlin"
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
        message="timeZone must be an IANA time zone name, such as Europe/Berlin",
        holds=cron.looks_like_zone,
    ),
    AfterValidator(_require_zone),
]


class Schedule(Model):
    """A time of the week with a higher minimum, such as office hours."""

    name: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Name shown in decision messages, such as office-hours."""
    start: Cron
    """Start time, as a cron expression of five fields, such as "0 8 * * 1-5". Pods are created
    ahead of it, so that they are ready at the start."""
    end: Cron | None = None
    """End time, as a cron expression, such as "0 20 * * 1-5". Set either end or duration."""
    duration: PositiveDuration | None = None
    """How long the schedule is active, such as 12h. Set either duration or end."""
    time_zone: TimeZone = "Etc/UTC"
    """IANA time zone of start and end, such as Europe/Berlin. Daylight saving time applies."""
    min_replicas: Annotated[Int, Field(ge=0, le=MAX_REPLICAS)] = 0
    """Minimum number of pods while the schedule is active, up to replicas.max."""
    min_workers: Annotated[Int, Field(ge=0, le=MAX_WORKERS)] = 0
    """Minimum number of workers per pod while the schedule is active, up to workers.max."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.end) != has(self.duration)",
            message="a schedule must set exactly one of end and duration",
            holds=lambda one: (one.end is None) != (one.duration is None),
        ),
        Rule(
            cel="!has(self.end) || self.end != self.start",
            message="end must not be the same as start: the schedule would never be active",
            holds=lambda one: one.end != one.start,
        ),
        Rule(
            cel="has(self.minReplicas) && self.minReplicas > 0"
            " || has(self.minWorkers) && self.minWorkers > 0",
            message="a schedule must set minReplicas or minWorkers above zero",
            holds=lambda one: one.min_replicas > 0 or one.min_workers > 0,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The minimums of a schedule; 0 means none. ``name`` appears in decision messages."""

    workers: int = 0
    replicas: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpcomingFloor:
    """A floor that becomes active in ``seconds``."""

    floor: Floor
    seconds: float


def label(schedule: Schedule) -> str:
    """The name of a schedule in decision messages."""
    return schedule.name or f"{schedule.start} {schedule.time_zone}"


def active(schedules: Sequence[Schedule], *, now: float) -> tuple[Floor, ...]:
    """The floors of the schedules that are active ``now`` (seconds since 1970, UTC)."""
    return tuple(_floor(one) for one in schedules if _is_active(one, _moment(one, now)))


def upcoming(schedules: Sequence[Schedule], *, now: float) -> tuple[UpcomingFloor, ...]:
    """The floors of the schedules that are not active ``now``, with the time until they start."""
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
    # The start itself belongs to the schedule, but previous_occurrence excludes it.
    until = at + timedelta(microseconds=1)
    began = cron.previous_occurrence(schedule.start, until)
    if schedule.duration is not None:
        return at.timestamp() - began.timestamp() < parse_duration(schedule.duration)
    return schedule.end is not None and cron.previous_occurrence(schedule.end, until) < began
