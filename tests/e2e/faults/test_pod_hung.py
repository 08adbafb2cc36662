"""All processes of a pod are stopped for 8 s, as on a node that does not respond."""

from e2e_support.fault import Row, Steady, hold
from e2e_support.fault_fleet import pod_sidecars

ROW = Row(
    fault="pod hung for 8 s",
    user="its requests take 8 s longer; none is lost",
    operator="Counts it as unknown, not idle; keeps the fleet",
)
PROGRAMS = ("aiapi-serve", "aiapi-worker")


def test_a_pod_hangs(steady: Steady, is_local: bool) -> None:
    with steady.fault(grows=4):
        hung = pod_sidecars(steady, is_local=is_local)[0]
        for program in PROGRAMS:
            hung.signal("SIGSTOP", program=program)
        hold(8)
        for program in PROGRAMS:
            hung.signal("SIGCONT", program=program)
