"""An AIApi is edited as fast as kubectl can."""

import json
import time

from e2e_support.fault import Row, Steady

ROW = Row(
    fault="AIApi edited every 100 ms",
    user="nothing",
    operator="At most four ticks a second; the last edit counts",
)
SECONDS = 15


def test_an_aiapi_is_edited_all_the_time(steady: Steady) -> None:
    with steady.fault(grows=2):
        end, number = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            number += 1
            body = {"spec": {"scaling": {"scaleUp": {"maxReplicasPerMinute": 10 + number}}}}
            steady.cluster.kubectl(
                "patch", "aiapi", steady.name, "--type=merge", "-p", json.dumps(body)
            )
        assert number > SECONDS
