"""A new leader starts from the checkpoint: it wants no larger fleet than the old one."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator
from e2e_support.kubectl import throughout

ROW = Row(
    fault="takeover by the standby",
    user="nothing",
    operator="Starts from the checkpoint in the status: no larger fleet than before, and no"
    " smaller one",
)
SECONDS = 40


def test_a_takeover_does_not_raise_the_fleet(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        largest = steady.largest()
        cut = operator.leading()
        cut.rules({"action": "close"})
        operator.wait_taken_over(cut)
        throughout(
            lambda: steady.size().total <= largest or f"{steady.size()}",
            seconds=SECONDS,
            what=f"no more than {largest} workers",
        )
        cut.rules()
