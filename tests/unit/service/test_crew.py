"""What the crew does when nothing goes well."""

from time import monotonic

import pytest

from aiapi_runtime.runtime.crew import Crew
from aiapi_runtime.runtime.settings import Settings
from aiapi_runtime.telemetry.arena import Arena, Ledger


@pytest.fixture
def crew():
    settings = Settings(app="x:app")
    arena = Arena.create(settings.slots)
    return Crew(settings, arena, Ledger(arena), 1)


def test_failing_for_days_keeps_the_longest_back_off(crew):
    crew.failures = 5000
    crew.failed("no database")
    assert crew.failures == 5001
    assert 26 < crew.retry_at - monotonic() < 34
