"""The counters of all pods are lower in each answer."""

from e2e_support.fault import Row, Steady
from e2e_support.fault_fleet import pod_sidecars, suffer

ROW = Row(
    fault="counters go back",
    user="nothing",
    operator="The pods count as unknown for up to a minute; keeps the fleet",
)
KEYS = ["success", "loop_seconds", "in_flight_seconds", "worker_seconds"]
RULE = {"path": "^/stats", "action": "rewind", "keys": KEYS}


def test_counters_go_back(steady: Steady, is_local: bool) -> None:
    with steady.fault():
        pods = pod_sidecars(steady, is_local=is_local)
        assert suffer(steady, pods, RULE, 20) > 0
