import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_operator.api.duration import format_duration, is_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("800ms", 0.8), ("1.5s", 1.5), ("2m", 120), ("1h30m", 5400), ("0s", 0), ("0.5h", 1800)],
)
def test_parses_go_notation(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1 s", "1d", "1.s", ".5s", "1s\n", "fast"])
def test_rejects_invalid_durations_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"800ms, 1\.5s, 2m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.00042, "0.42ms"),
        (0.0032, "3.2ms"),
        (0.412, "412ms"),
        (0.9999, "1s"),
        (1.24, "1.24s"),
        (59.96, "1m"),
        (90, "1m30s"),
        (5400, "1h30m"),
    ],
)
def test_formats_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_negative_duration_cannot_be_formatted() -> None:
    with pytest.raises(ValueError, match="negative"):
        format_duration(-1)


@given(st.floats(min_value=1e-6, max_value=1e8))
def test_formatted_durations_parse_to_nearly_the_same(seconds: float) -> None:
    text = format_duration(seconds)
    assert is_duration(text)
    assert math.isclose(parse_duration(text), seconds, rel_tol=0.01, abs_tol=1e-6)
