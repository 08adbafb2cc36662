"""One worker of a pod segfaults every second."""

from e2e_support.fault import Row, Steady, hold
from e2e_support.fault_fleet import pod_sidecars

ROW = Row(
    fault="a worker segfaults in a loop",
    user="requests in progress on that worker fail; they count as `server_error`",
    operator="The pod replaces the worker, with backoff. `RequestsFailing` where they are many; no"
    " growth for errors",
)
CRASHES = 6


def test_a_worker_segfaults_in_a_loop(steady: Steady, is_local: bool) -> None:
    with steady.fault(lost=10 * CRASHES, grows=2):
        pod = pod_sidecars(steady, is_local=is_local)[0]
        for _ in range(CRASHES):
            pod.signal("SIGSEGV", program="aiapi-worker", most=1)
            hold(1.5)
