"""docs/tuning.md is the list of all numbers of the right-sizer, made from the code."""

from pathlib import Path

from aiapi_operator.sizing import reference
from aiapi_operator.sizing.learners import demand

ROOT = Path(__file__).parents[3]
MOST = 60
"""Tuning numbers. With more, it is not known what each of them does."""
UNITS = {
    *("seconds", "hours", "bytes", "cores", "share", "utilization", "factor", "exponent", "weight"),
    *("requests", "failures", "workers", "pods", "sigmas", "bins", "samples", "jumps"),
}


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    assert written == reference.render(), "run: make tuning"


def test_the_values_are_those_that_the_code_uses() -> None:
    found = {each.name: float(each.value) for each in reference.numbers(demand) if each.tuning}
    assert found == {name: getattr(demand.TUNING, name) for name in demand.TUNING.__slots__}


def test_there_are_few_tuning_numbers() -> None:
    tuning = [each for rows in reference.sections().values() for _, each in rows if each.tuning]
    assert 0 < len(tuning) <= MOST


def test_every_number_has_a_unit_and_a_source() -> None:
    """See reference.py for the form of the docstring."""
    incomplete = [
        f"{file} {number.name}: {number.text!r}"
        for rows in reference.sections().values()
        for file, number in rows
        if number.unit not in UNITS or not number.source
    ]
    assert incomplete == []
