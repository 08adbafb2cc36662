"""Steps of the wall clock: only schedules and the daily profile read it, and none shrinks a fleet.

The right-sizer's ``now`` is monotonic; the time of day is another argument.
"""

from dataclasses import replace

import pytest
from unit.sizing.fleet_model import FleetModel, spec

HOUR = 3600.0
NOON = 12 * HOUR


def run(model: FleetModel, seconds: float, *, step: float = 0.0) -> list[int]:
    """The workers of each decision; the wall clock is wrong by ``step``."""
    found = []
    for _ in range(round(seconds / model.spec.interval)):
        model.spec = replace(model.spec, time_of_day=NOON + step + model.now)
        found += [d.workers * d.replicas for _, d in model.run(model.spec.interval)]
    return found


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_step_of_an_hour_does_not_change_the_fleet(step: float) -> None:
    model = FleetModel(spec(), replicas=2)
    model.rate, model.service = 60.0, 0.03
    run(model, 180)
    twin = model.copy()
    usual = run(model, 240)
    assert min(usual) > 2, "the least fleet cannot shrink"
    assert run(twin, 90, step=step) + run(twin, 150) == usual
