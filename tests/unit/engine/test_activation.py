"""Who answers requests: each step between the pods and the activators."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_operator.engine.activation import (
    PROBE_SECONDS,
    Activation,
    ActivationFacts,
    ActivatorView,
    Phase,
    step,
)

IDLE = ActivatorView(address="10.0.0.1", idle=1e6)
FACTS = ActivationFacts(
    now=1000.0,
    floor=0,
    after=300.0,
    grace=30.0,
    idle=400.0,
    replicas=1,
    ready=1,
    activators=(IDLE,),
)
SERVING = Activation()
LEAVING = Activation(phase=Phase.LEAVING, since=900.0, reason="no request for 5m", idle=300.0)
ANSWERED = replace(LEAVING, answered_at=950.0)
ASLEEP = Activation(phase=Phase.ASLEEP, since=500.0)
WAKING = Activation(phase=Phase.WAKING, since=990.0)


def facts(**changes: Any) -> ActivationFacts:
    return replace(FACTS, **changes)


@pytest.mark.parametrize(
    ("known", "changes", "phase", "replicas", "reason"),
    [
        # Serving.
        (SERVING, {"floor": 2}, Phase.SERVING, None, "at least 2 pods must run"),
        (SERVING, {"idle": 10.0}, Phase.SERVING, None, "no request for 10s of 5m"),
        (SERVING, {"idle": None}, Phase.SERVING, None, "it is not known of every pod whether"),
        (SERVING, {"activators": ()}, Phase.SERVING, None, "no activator is ready"),
        (SERVING, {}, Phase.LEAVING, None, "no request for 6m40s"),
        (SERVING, {"replicas": 0, "ready": 0}, Phase.ASLEEP, None, "it was scaled to zero"),
        (SERVING, {"replicas": 0, "activators": ()}, Phase.SERVING, None, "no activator is ready"),
        # Leaving.
        (LEAVING, {"now": 959.0}, Phase.LEAVING, None, "no request for 5m"),
        (LEAVING, {"answered": True}, Phase.LEAVING, None, "no request for 5m"),
        (ANSWERED, {"now": 979.0}, Phase.LEAVING, None, "no request for 5m"),
        (ANSWERED, {"now": 980.0}, Phase.ASLEEP, 0, "no request for 5m"),
        (ANSWERED, {"idle": 50.0}, Phase.SERVING, None, "a request came"),
        (ANSWERED, {"idle": 398.0}, Phase.ASLEEP, 0, "no request for 5m"),
        (ANSWERED, {"idle": 397.9}, Phase.SERVING, None, "a request came, or the answer of a pod"),
        (ANSWERED, {"idle": 300.0}, Phase.SERVING, None, "a request came, or the answer of a pod"),
        (ANSWERED, {"idle": None}, Phase.LEAVING, None, "no request for 5m"),
        (ANSWERED, {"activators": ()}, Phase.SERVING, None, "no activator is ready"),
        (ANSWERED, {"floor": 1}, Phase.SERVING, None, "at least 1 pod must run"),
        (
            ANSWERED,
            {"replicas": 0, "ready": 0, "idle": None},
            Phase.ASLEEP,
            0,
            "no request for 5m",
        ),
        (
            LEAVING,
            {"now": 900.0 + PROBE_SECONDS},
            Phase.SERVING,
            None,
            "no activator answered through the Service; check its NetworkPolicies",
        ),
        # Asleep.
        (ASLEEP, {"replicas": 0, "ready": 0}, Phase.ASLEEP, 0, ""),
        (ASLEEP, {"replicas": 3, "ready": 0}, Phase.WAKING, None, "3 pods were started"),
        (ASLEEP, {"replicas": 1, "ready": 0}, Phase.WAKING, None, "1 pod was started"),
        (ASLEEP, {"replicas": 0, "floor": 2}, Phase.WAKING, 2, "at least 2 pods must run"),
        (
            ASLEEP,
            {"replicas": 0, "activators": (), "wake": 3},
            Phase.WAKING,
            3,
            "no activator is ready",
        ),
        # Waking.
        (WAKING, {"replicas": 3, "ready": 0}, Phase.WAKING, 3, ""),
        (WAKING, {"replicas": 3, "ready": 1}, Phase.SERVING, 3, "a pod is ready"),
        (WAKING, {"replicas": 1, "ready": 0, "floor": 2}, Phase.WAKING, 2, ""),
        (WAKING, {"replicas": 0, "ready": 0}, Phase.ASLEEP, None, "it was scaled to zero"),
        (WAKING, {"replicas": 0, "ready": 0, "activators": ()}, Phase.WAKING, 1, ""),
    ],
)
def test_one_step(
    known: Activation, changes: dict[str, Any], phase: Phase, replicas: int | None, reason: str
) -> None:
    found = step(known, facts(**changes))
    assert (found.activation.phase, found.replicas) == (phase, replicas)
    assert found.activation.reason.startswith(reason)


@pytest.mark.parametrize("idle", [None, 10.0])
def test_an_activator_that_is_unknown_or_had_a_request_keeps_the_pods(idle: float | None) -> None:
    found = step(ANSWERED, facts(activators=(IDLE, ActivatorView(address="10.0.0.2", idle=idle))))
    assert found.replicas is None
    assert found.activation.phase is (Phase.LEAVING if idle is None else Phase.SERVING)


def test_a_service_that_no_activator_answers_is_left_alone_for_a_while() -> None:
    late = step(LEAVING, facts(now=960.0)).activation
    assert step(late, facts(now=1259.0)).activation.phase is Phase.SERVING
    assert step(late, facts(now=1260.0)).activation.phase is Phase.LEAVING


def test_a_wake_up_is_remembered() -> None:
    serving = step(WAKING, facts(replicas=2)).activation
    assert serving.wakes.recent == (1000.0,)
    assert step(serving, facts(idle=400.0)).activation.phase is Phase.LEAVING
    again = step(replace(WAKING, wakes=serving.wakes), facts(replicas=2)).activation
    assert step(again, facts(idle=400.0)).activation.phase is Phase.SERVING
    assert step(again, facts(idle=600.0)).activation.phase is Phase.LEAVING


IDLES = st.one_of(st.none(), st.floats(0, 1000))


@given(
    steps=st.lists(
        st.tuples(
            st.floats(0.5, 40),
            st.sampled_from([0, 0, 0, 1]),
            IDLES,
            st.lists(IDLES, max_size=2),
            st.booleans(),
            st.integers(0, 3),
        ),
        max_size=60,
    )
)
def test_pods_stop_only_when_nobody_has_asked_and_an_activator_answers(
    steps: list[tuple[float, int, float | None, list[float | None], bool, int]],
) -> None:
    known, now, replicas = Activation(), 0.0, 2
    for elapsed, floor, idle, activators, answered, ready in steps:
        now += elapsed
        views = tuple(ActivatorView(address=str(i), idle=each) for i, each in enumerate(activators))
        seen = facts(
            now=now,
            floor=floor,
            idle=idle,
            activators=views,
            answered=answered,
            replicas=replicas,
            ready=min(ready, replicas),
        )
        found = step(known, seen)
        if found.replicas == 0 and replicas > 0:
            assert floor == 0
            assert views
            assert idle is not None
            assert all(each.idle is not None for each in views)
            assert known.answered_at is not None
            assert now - known.answered_at >= seen.grace
        known = found.activation
        replicas = replicas if found.replicas is None else found.replicas
        assert replicas > 0 or known.shares_service
