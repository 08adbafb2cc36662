"""MetricsStale: all pods are silent, or some for 10 s."""

import pytest
from unit.sizing.requirements import needed, size
from unit.sizing.samples import facts, pod, row

from aiapi_operator.sizing.diagnoses.metrics_stale import SilentSince, check, learn
from aiapi_operator.sizing.inputs import PodSample, PodUnknown

Pods = list[PodSample | PodUnknown]


def answers(count: int) -> Pods:
    return [pod(60.0, f"a-{i}") for i in range(count)]


def silent(count: int, *, ready: bool = True) -> Pods:
    return [PodUnknown(pod=f"s-{i}", ready=ready, reason="timeout") for i in range(count)]


CHECK = (
    " Check that the operator can reach the pods' admin port (NetworkPolicy, token) and that the"
    " pods have enough CPU."
)


@pytest.mark.parametrize(
    ("pods", "since", "status", "reason", "message"),
    [
        pytest.param(silent(1, ready=False), 0.0, None, "NoReadyPods", "No pod is ready.", id="no"),
        pytest.param(
            answers(2), None, False, "AllPodsAnswer", "Every ready pod can be scraped.", id="all"
        ),
        pytest.param(
            answers(1) + silent(1),
            51.0,
            False,
            "PodsAnswer",
            "Ready pods can be scraped.",
            id="one is silent for 9 s",
        ),
        pytest.param(
            answers(1) + silent(1),
            50.0,
            True,
            "SomePodsSilent",
            "1 of 2 ready pods cannot be scraped (s-0: timeout). The fleet does not scale down"
            f" until they answer.{CHECK}",
            id="one is silent for 10 s",
        ),
        pytest.param(
            answers(60) + silent(1),
            50.0,
            True,
            "SomePodsSilent",
            "1 of 61 ready pods cannot be scraped (s-0: timeout). Their load is estimated as the"
            f" mean of the other pods.{CHECK}",
            id="one of many is silent",
        ),
        pytest.param(
            silent(1),
            60.0,
            True,
            "NoPodAnswers",
            "1 of 1 ready pod cannot be scraped (s-0: timeout). The fleet does not scale down"
            f" until they answer.{CHECK}",
            id="all are silent at once",
        ),
    ],
)
def test_silent_pods(
    pods: Pods, since: float | None, status: bool | None, reason: str, message: str
) -> None:
    known = [] if since is None else [SilentSince(time=since)]
    found = check(facts(row(), pods=pods, known=known), needed(1.0), size(1, 2))
    assert (found.type, found.status, found.reason) == ("MetricsStale", status, reason)
    assert found.message == message


def test_the_time_counts_from_the_first_silent_pod() -> None:
    first = learn(None, facts(now=10.0, pods=silent(1)))
    assert first == SilentSince(time=10.0)
    assert learn(first, facts(now=20.0, pods=silent(2))) == first
    assert learn(first, facts(now=60.0, pods=answers(2))) is None
