"""The leader alone loses the API server; the standby still has it."""

from e2e_support.fault import Row, Steady, hold
from e2e_support.faulty_operator import FaultyOperator

ROW = Row(
    fault="leader cut off from the API server",
    user="nothing",
    operator="It stops acting 7 s after its last renewal, and the standby takes over after 10 s",
)


def test_the_leader_is_cut_off(steady: Steady, operator: FaultyOperator) -> None:
    with steady.fault():
        cut = operator.leading()
        cut.rules({"action": "hang"})
        operator.wait_taken_over(cut)
        hold(10)
        cut.rules()
