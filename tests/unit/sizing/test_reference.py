"""docs/tuning.md is the list of all numbers of the right-sizer, made from the code."""

from pathlib import Path

from aiapi_operator.sizing import reference
from aiapi_operator.sizing.learners import demand

ROOT = Path(__file__).parents[3]
MOST = 60
"""Tuning numbers: beyond that nobody can know what each does."""


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    assert written == reference.render(), "run: make tuning"


def test_the_values_are_those_that_the_code_uses() -> None:
    found = {each.name: float(each.value) for each in reference.numbers(demand) if each.tuning}
    assert found == {name: getattr(demand.TUNING, name) for name in demand.TUNING.__slots__}


def test_there_are_few_tuning_numbers() -> None:
    tuning = [each for rows in reference.sections().values() for _, each in rows if each.tuning]
    assert 0 < len(tuning) <= MOST
