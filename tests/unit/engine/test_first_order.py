"""A new pod is told its size also when the template had it right: it waits for that to be ready."""

from aiapi_operator.engine.podview import view
from aiapi_operator.engine.steps import next_step
from aiapi_operator.sizing.inputs import Histogram, PodSample

NOTHING = Histogram(bounds=(1.0,), counts=(0, 0), sum=0.0)
REQUESTS = {"requests": {"cpu": "500m"}}


def sample(*, ready: bool) -> PodSample:
    return PodSample(
        pod="a",
        time=1.0,
        instance="i",
        ready=ready,
        workers_wanted=1,
        workers_ready=1,
        workers_draining=0,
        workers_blocked=0,
        blocked_at="",
        failure="",
        succeeded=0,
        client_errors=0,
        server_errors=0,
        cancelled=0,
        shed=0,
        in_flight_seconds=0.0,
        loop_seconds=0.0,
        worker_seconds=0.0,
        cpu_seconds=0.0,
        upstream_seconds=0.0,
        latency=NOTHING,
        loop_lag=NOTHING,
        in_flight=0,
        open_connections=0,
        accept_queue_depth=0,
        rss_bytes=0,
    )


def order(*, ready: bool) -> int | None:
    pod = view(
        {
            "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "app", "resources": REQUESTS}]},
        }
    )
    resources = {"requests": {"cpu": "500m"}}
    return next_step(pod, sample(ready=ready), workers=1, resources=resources).workers


def test_a_pod_that_is_not_ready_is_told_its_size() -> None:
    assert order(ready=False) == 1


def test_a_ready_pod_of_the_right_size_is_left_alone() -> None:
    assert order(ready=True) is None
