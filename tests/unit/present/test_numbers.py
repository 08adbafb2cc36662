"""Numbers with their units."""

import pytest

from aiapi_operator.present import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.6049, "0.605"),
        (1.5, "1.5"),
        (412.3, "412"),
        (12345.0, "12,300"),
        (1e20, "1e+20"),
    ],
)
def test_number_has_three_significant_digits(value: float | None, text: str) -> None:
    assert numbers.number(value) == text


def test_integer_and_count() -> None:
    assert numbers.integer(12345) == "12,345"
    assert numbers.integer(None) == "-"
    assert (numbers.count(1, "pod"), numbers.count(0, "pod")) == ("1 pod", "0 pods")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 ms"),
        (0.0000312, "31 us"),
        (0.0091, "9.1 ms"),
        (0.357, "360 ms"),
        (2.41, "2.4 s"),
        (120, "120 s"),
    ],
)
def test_duration_uses_the_unit_that_keeps_it_short(seconds: float | None, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_latency_has_three_digits() -> None:
    assert numbers.latency(0.3571) == "357 ms"
    assert numbers.latency(1.357) == "1.36 s"


def test_percent_is_given_a_part_of_one() -> None:
    assert (numbers.percent(0.314), numbers.percent(None)) == ("31 %", "-")
    assert numbers.percent(0.98765, decimals=1) == "98.8 %"


def test_small_shares_keep_two_digits() -> None:
    assert [numbers.small_percent(part) for part in (0.0042, 0.314, 1.0, 0.0, None)] == [
        *("0.42 %", "31 %", "100 %", "0 %", "-"),
    ]


def test_money_has_its_currency() -> None:
    assert numbers.money(12.3456, "EUR") == "12.35 EUR"
    assert numbers.money(0.08356, "USD") == "0.0836 USD"
    assert numbers.money(None, "USD") == "-"


def test_times() -> None:
    assert numbers.elapsed(65.9) == "1:05"
    assert numbers.elapsed(3725, hours=True) == "1:02:05"
    assert numbers.timestamp(0) == "1970-01-01T00:00:00Z"
    assert numbers.date_and_time(60) == "1970-01-01 00:01 UTC"
    assert numbers.time_of_day(0) == "00:00:00 UTC"
