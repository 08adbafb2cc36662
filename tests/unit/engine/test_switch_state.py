"""What a new leader reads of the switch from a status, which may have any content."""

from typing import Any

import pytest

from aiapi_operator.engine.activation import Phase
from aiapi_operator.engine.switch import SwitchState


@pytest.mark.parametrize("activation", ["x", [], 7, {"phase": {}}, {"phase": "Gone"}])
def test_a_senseless_status_is_read_as_serving(activation: Any) -> None:
    found = SwitchState.restore({"activation": activation})
    assert found.activation.phase is Phase.SERVING
    assert found.port is None


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("asleepSeconds", ["x", -1, "nan", [], {}, True]),
        ("hourly", ["x", 7, [], "1 2", " ".join(["nan"] * 24), " ".join(["-1"] * 24)]),
        ("port", ["x", -1, [], 1.5]),
        ("since", [7, [], None]),
        ("message", [7, [], None]),
    ],
)
def test_senseless_fields_are_ignored(field: str, values: list[Any]) -> None:
    for value in values:
        found = SwitchState.restore({"activation": {"phase": "Asleep", field: value}})
        assert found.activation.phase is Phase.ASLEEP
        assert found.asleep_seconds in (0, 1)
        assert found.activation.wakes.hourly == ()
        assert found.port is None


def test_a_reason_is_read_back_without_the_sentence_around_it() -> None:
    text = "No pod runs; the next request starts pods and waits for them: no request for 5m."
    found = SwitchState.restore({"activation": {"phase": "Asleep", "message": text, "since": "T1"}})
    assert (found.activation.reason, found.since, found.known) == ("no request for 5m", "T1", True)


def test_leaving_begins_again() -> None:
    found = SwitchState.restore({"activation": {"phase": "Leaving", "since": "T1"}})
    assert (found.activation.phase, found.since, found.known) == (Phase.SERVING, "", True)
