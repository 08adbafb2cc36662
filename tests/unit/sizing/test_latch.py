"""Hysteresis: a finding turns on after it lasts, and off after it is clearly gone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aiapi_operator.sizing import latch
from aiapi_operator.sizing.state import Latch


def after(*findings: bool | None, off_after: float = 4.0) -> Latch:
    found = Latch()
    for step, finding in enumerate(findings):
        found = latch.update(found, finding, now=2.0 * step, on_after=4.0, off_after=off_after)
    return found


def test_a_latch_changes_only_for_lasting_findings() -> None:
    assert after(True, True) == Latch(on=False, since=0.0)
    assert after(True, True, True) == Latch(on=True)
    assert after(True, None, True, True) == Latch(on=False, since=4.0)
    assert after(True, True, True, False, True, False, False) == Latch(on=True, since=10.0)
    assert not after(True, True, True, False, False, False).on


def test_off_has_its_own_delay() -> None:
    assert after(*[True] * 3, *[False] * 4, off_after=8.0).on
    assert not after(*[True] * 3, *[False] * 5, off_after=8.0).on


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([True, False, None]), max_size=60))
def test_a_latch_never_changes_twice_within_its_delay(findings: list[bool | None]) -> None:
    found, turned = Latch(), float("-inf")
    for step, finding in enumerate(findings):
        before = found.on
        found = latch.update(found, finding, now=2.0 * step, on_after=10.0, off_after=20.0)
        if found.on != before:
            assert 2.0 * step - turned >= 10.0
            turned = 2.0 * step
