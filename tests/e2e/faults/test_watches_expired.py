"""Every watch answers 410 Gone."""

from e2e_support.fault import Row, Steady
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="watches answer 410",
    user="nothing",
    operator="Lists again",
)
RULE = {"path": r"watch=true", "action": "gone"}


def test_watches_expired(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        assert operator.suffer(RULE, 10) > 0
