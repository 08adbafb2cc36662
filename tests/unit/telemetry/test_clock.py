"""Loop time on both kinds of loop, and the code location of a frame."""

import asyncio
import sys
import time

import pytest

from aiapi_runtime.telemetry.clock import new_loop
from aiapi_runtime.telemetry.heartbeat import code_location


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"])
def test_loop_time_is_the_time_spent_in_callbacks(kind):
    loop, make_clock = new_loop(kind)
    clock = make_clock()

    async def work():
        before = clock.read()
        for _ in range(4):
            time.sleep(0.03)  # noqa: ASYNC251 - a blocking callback is what is measured
            await asyncio.sleep(0.05)
        after = clock.read()
        return after[0] - before[0], after[1] - before[1]

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        busy, wall = runner.run(work())
    assert busy == pytest.approx(0.12, abs=0.05)
    assert wall > busy + 0.15


def test_the_place_is_the_innermost_own_line():
    def here():
        return code_location(sys._getframe())

    assert here().endswith("test_the_place_is_the_innermost_own_line.<locals>.here")
    assert "test_clock.py:" in here()
    assert code_location(None) == ""
