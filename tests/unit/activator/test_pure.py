"""Decisions of the activator: functions of data and time."""

from dataclasses import dataclass

import pytest

from aiapi_operator.activator import answers
from aiapi_operator.activator.answers import Answer
from aiapi_operator.activator.balance import choose
from aiapi_operator.activator.fleet import Fleet, Readiness
from aiapi_operator.activator.limits import Limits, refusal
from aiapi_operator.activator.wake_count import pods_to_wake

KEY = ("shop", "assistant")


@dataclass
class Candidate:
    name: str
    in_flight: int = 0
    last_chosen: int = 0
    readiness: Readiness = Readiness.ALL


@pytest.mark.parametrize(
    ("phase", "forecast", "concurrency", "most", "open_requests", "expected"),
    [
        ("Asleep", 1, 10, None, 0, 1),
        ("Asleep", 1, 10, None, 10, 1),
        ("Asleep", 1, 10, None, 11, 2),
        ("Asleep", 4, 10, None, 11, 4),
        ("Asleep", 4, 10, 3, 11, 3),
        ("Asleep", 1, 1, 5, 1000, 5),
        ("Waking", 1, 10, None, 25, 3),
        ("", 1, 10, None, 25, 3),
        ("", 1, None, 10, 25, 1),
        ("Asleep", 2, None, None, 1000, 2),
        ("Serving", 4, 1, None, 25, 1),
        ("Leaving", 4, 1, None, 25, 1),
    ],
)
def test_pods_to_wake(  # noqa: PLR0917 - the columns of the table
    phase: str,
    forecast: int,
    concurrency: int | None,
    most: int | None,
    open_requests: int,
    expected: int,
) -> None:
    fleet = Fleet(
        key=KEY,
        phase=phase,
        wake_replicas=forecast,
        pod_concurrency=concurrency,
        max_replicas=most,
    )
    assert pods_to_wake(fleet, open_requests) == expected


@pytest.mark.parametrize("phase", ["Asleep", "Waking", "Serving", "Leaving", ""])
@pytest.mark.parametrize(
    ("readiness", "concurrency", "woken", "serving"),
    [
        (Readiness.ALL, 24, 24, None),
        (Readiness.ALL, None, None, None),
        (Readiness.A_WORKER, 24, 6, 0),
        (Readiness.A_WORKER, 3, 1, 0),
        (Readiness.A_WORKER, None, 1, 0),
        (Readiness.NONE, 24, 0, 0),
        (Readiness.NONE, None, 0, 0),
    ],
)
def test_requests_of_one_pod_at_a_time(
    phase: str,
    readiness: Readiness,
    concurrency: int | None,
    woken: int | None,
    serving: int | None,
) -> None:
    """While it wakes, what its workers can take; later the activator sees only a part."""
    fleet = Fleet(key=KEY, phase=phase, pod_concurrency=concurrency, max_workers=4)
    expected = woken if phase in {"Asleep", "Waking"} else serving
    assert fleet.in_flight_limit(readiness) == expected


def test_the_pod_with_the_fewest_requests_is_chosen_in_turn_among_equals() -> None:
    one, two, busy = Candidate("1", 1, 5), Candidate("2", 1, 4), Candidate("3", 2, 0)
    assert choose([one, two, busy], lambda _: None) is two
    assert choose([], lambda _: None) is None


def test_a_full_pod_is_not_chosen() -> None:
    assert choose([Candidate("1", 3)], lambda _: 3) is None
    assert choose([Candidate("1", 3), Candidate("2", 2)], lambda _: 3) == Candidate("2", 2)


def test_each_pod_has_the_limit_of_its_readiness() -> None:
    starting, ready = Candidate("1", 1, 0, Readiness.A_WORKER), Candidate("2", 4)
    limits = {Readiness.A_WORKER: 1, Readiness.ALL: 5}
    assert choose([starting, ready], limits.get) is ready


@pytest.mark.parametrize(
    ("held", "held_bytes", "expected"),
    [
        (0, 0, ""),
        (2, 99, ""),
        (3, 0, "3 requests are held already"),
        (0, 100, "held requests have 100 bytes of body already"),
    ],
)
def test_admission(held: int, held_bytes: int, expected: str) -> None:
    assert refusal(Limits(requests=3, body_bytes=100), held, held_bytes) == expected


@pytest.mark.parametrize(
    ("not_ready", "wake_error", "pods", "status", "text"),
    [
        ("", "", 0, 504, "No pod took the request within 300 s: no pod is running."),
        (
            "",
            "",
            2,
            504,
            "No pod took the request within 300 s: its pods are not ready or have no room.",
        ),
        (
            "ImagePullFailed",
            "",
            1,
            503,
            "No pod took the request within 300 s: condition Ready is False, ImagePullFailed.",
        ),
        (
            "ImagePullFailed",
            "it failed",
            1,
            504,
            "No pod took the request within 300 s: it failed.",
        ),
    ],
)
def test_the_answer_at_the_deadline_gives_the_reason(
    not_ready: str, wake_error: str, pods: int, status: int, text: str
) -> None:
    answer = answers.at_deadline(300, not_ready=not_ready, wake_error=wake_error, pods=pods)
    assert (answer.status, answer.reason) == (status, text)


def test_a_refusal_says_when_to_try_again() -> None:
    assert answers.render(Answer(503, "No room.", "full")) == (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 9\r\nConnection: close\r\nRetry-After: 5\r\n\r\nNo room.\n"
    )


def test_other_answers_do_not() -> None:
    assert b"Retry-After" not in answers.render(Answer(504, "Too late.", "deadline"))
