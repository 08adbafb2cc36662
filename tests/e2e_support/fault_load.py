"""Load that lasts for many scenarios; each reads its own share of the counts."""

import json
from dataclasses import dataclass
from typing import Any

from e2e_support.cluster import Cluster
from e2e_support.kubectl import eventually
from e2e_support.load import ANSWER, GENERATE, Sent, run_pod

PATH = "/v1/answer"
STATUS = 4
"""Where a record has the status."""
TAIL = 600
"""Lines of the log that are read: more than two seconds of load have."""


@dataclass(frozen=True, kw_only=True)
class SteadyLoad:
    cluster: Cluster
    pod: str

    def counts(self) -> Sent:
        """The counts so far."""
        last = self._progress()
        return Sent(requests=last["requests"], failed=last["failed"])

    def counts_after_one_second(self) -> Sent:
        """The counts after everything that was due before this call."""
        now = self._progress()["at"]
        eventually(lambda: self._progress()["at"] > now + 1, within=20, what="the load goes on")
        return self.counts()

    def failures(self) -> list[str]:
        """The last failed requests, as the generator recorded them."""
        lines = self.cluster.kubectl("logs", self.pod).splitlines()
        records = [line for line in lines if line.startswith("[")]
        return [line for line in records if json.loads(line)[STATUS] != 200][-5:]

    def _progress(self) -> dict[str, Any]:
        lines = self.cluster.kubectl("logs", self.pod, f"--tail={TAIL}").splitlines()
        found = [line for line in lines if line.startswith('{"event": "progress"')]
        last: dict[str, Any] = json.loads(found[-1])
        return last

    def wait_started(self) -> None:
        eventually(
            lambda: '{"event": "progress"' in self.cluster.kubectl.run("logs", self.pod).stdout,
            within=60,
            what="the load has started",
        )


def start_steady_load(
    cluster: Cluster, *, service: str, rate: float, seconds: float = 7200, path: str = PATH
) -> SteadyLoad:
    """Start load that goes on until its namespace is deleted."""
    script = {
        "url": cluster.service_address(service) + path,
        "body": ANSWER,
        "phases": [{"name": "steady", "seconds": seconds, "rate": rate, "upstream_seconds": 0}],
        "records": "/dev/stdout",
        "timeout_seconds": 20,
    }
    name = f"steady-{service}-{int(rate)}"
    run_pod(cluster, name, ["sh", "-c", GENERATE], SCRIPT=json.dumps(script))
    load = SteadyLoad(cluster=cluster, pod=name)
    load.wait_started()
    return load
