"""Schedules: when floors are active, across time zones, weekends and daylight saving time."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiapi_operator.api.schedule import Floor, Schedule, UpcomingFloor, active, upcoming

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE: dict[str, Any] = {
    "name": "office",
    "start": "0 8 * * 1-5",
    "end": "0 20 * * 1-5",
    "timeZone": "Europe/Berlin",
    "minReplicas": 4,
}


def schedule(**changes: Any) -> Schedule:
    return Schedule.model_validate(OFFICE | changes)


def at(text: str) -> float:
    """A Berlin time in seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


def holds(one: Schedule, text: str) -> bool:
    return active([one], now=at(text)) != ()


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-11-23 07:59:59", False),
        ("2026-11-23 08:00:00", True),
        ("2026-11-23 19:59:59", True),
        ("2026-11-23 20:00:00", False),
        ("2026-11-22 12:00:00", False),
        ("2026-07-20 08:00:00", True),
    ],
    ids=["before", "first moment", "last moment", "over", "a Sunday", "in summer time"],
)
def test_a_floor_is_active_from_start_to_end(time: str, expected: bool) -> None:
    assert holds(schedule(), time) == expected


def test_a_duration_replaces_an_end() -> None:
    night = schedule(start="0 22 * * *", end=None, duration="10h")
    assert holds(night, "2026-11-23 23:00:00")
    assert holds(night, "2026-11-24 07:59:59")
    assert not holds(night, "2026-11-24 08:00:00")


def test_an_end_on_the_next_day() -> None:
    weekend = schedule(start="0 18 * * FRI", end="0 6 * * MON")
    assert holds(weekend, "2026-11-22 03:00:00")
    assert not holds(weekend, "2026-11-23 06:00:00")


def test_the_hour_skipped_by_daylight_saving_time() -> None:
    """On 29 March 2026 there is no 02:30 in Berlin."""
    early = schedule(start="30 2 * * *", end="0 5 * * *")
    assert holds(early, "2026-03-29 03:30:00")
    assert not holds(early, "2026-03-29 05:00:00")


def test_upcoming_floors_have_the_seconds_until_their_start() -> None:
    assert upcoming([schedule()], now=at("2026-11-23 07:59:15")) == (
        UpcomingFloor(floor=Floor(replicas=4, name="office"), seconds=45.0),
    )
    assert upcoming([schedule()], now=at("2026-11-23 09:00:00")) == ()


def test_a_schedule_without_a_name_is_labeled_by_its_time() -> None:
    (found,) = active([schedule(name=None, minWorkers=2)], now=at("2026-11-23 09:00:00"))
    assert found == Floor(workers=2, replicas=4, name="0 8 * * 1-5 Europe/Berlin")


times = st.integers(1_700_000_000, 1_900_000_000)
crons = st.sampled_from(
    ["0 8 * * 1-5", "*/15 * * * *", "30 2 * * *", "0 0 1 * *", "59 23 31 12 *", "0 0 29 2 *"]
)
zones = st.sampled_from(["Etc/UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"])


@settings(max_examples=60, deadline=None)
@given(times, crons, crons, zones)
def test_a_schedule_is_active_or_upcoming_at_any_time(
    now: int, start: str, end: str, zone: str
) -> None:
    if start == end:
        return
    one = schedule(start=start, end=end, timeZone=zone)
    here, later = active([one], now=now), upcoming([one], now=now)
    assert len(here) + len(later) == 1
    for coming_floor in later:
        assert coming_floor.seconds > 0
        begun = active([one], now=now + coming_floor.seconds)
        # An end at the moment of the start ends it before it starts.
        assert begun or active([one], now=now + coming_floor.seconds + 1) == ()
