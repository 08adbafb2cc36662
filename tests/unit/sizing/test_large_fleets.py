"""Large fleets tolerate a few silent pods; a minority never decides for the rest."""

import pytest
from unit.sizing.fleet_model import FleetModel, condition, spec

from aiapi_operator.sizing import rates
from aiapi_operator.sizing.decision import Verdict
from aiapi_operator.sizing.inputs import Bounds, Fleet, PodUnknown

LARGE = spec(workers=Bounds(min=1, max=4), replicas=Bounds(min=60, max=60))


@pytest.mark.parametrize(
    ("pods", "silent", "expected"),
    [(2, 1, False), (49, 1, False), (50, 1, True), (50, 2, False), (1000, 20, True)],
)
def test_one_in_fifty_may_be_silent(pods: int, silent: int, expected: bool) -> None:
    answer = FleetModel(spec()).pods[0].sample(0.0, 0.01)
    known = [answer.__class__(**{**_fields(answer), "pod": f"p{i}"}) for i in range(pods - silent)]
    unknown = [PodUnknown(pod=f"u{i}", ready=True, reason="timeout") for i in range(silent)]
    fleet = Fleet(replicas=pods, pods=(*known, *unknown))
    assert rates.validate(fleet, now=0.0, interval=2.0).mostly_known == expected


def _fields(answer: object) -> dict[str, object]:
    return {name: getattr(answer, name) for name in answer.__struct_fields__}


def shrinks(silent: int) -> FleetModel:
    """Sixty pods with four workers each, far more than the load needs, some of them silent."""
    model = FleetModel(LARGE, replicas=60, workers=4)
    model.rate = 600.0
    model.run(20)
    model.silent = {f"pod-{i}" for i in range(silent)}
    model.run(34)
    return model


def test_a_large_fleet_shrinks_despite_one_silent_pod_and_reports_it() -> None:
    model = shrinks(1)
    assert model.last.workers == 1
    status, message = condition(model.last, "MetricsStale")
    assert status is True
    assert "1 of 60 ready pods cannot be scraped" in message
    assert "Their load is estimated as the mean of the other pods." in message


def test_two_silent_pods_of_sixty_prevent_scale_down() -> None:
    model = shrinks(2)
    assert model.last.workers == 4
    assert model.last.verdict is Verdict.HOLDING
    assert (
        "The fleet does not scale down until they answer."
        in condition(model.last, "MetricsStale")[1]
    )
