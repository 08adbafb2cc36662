"""The right-sizer: computes the desired fleet from the observed one, with the reasons.

Pure: the same arguments give the same answer. Nothing here or below reads a clock.
"""

from collections.abc import Container, Mapping
from typing import Any

from aiapi_operator.sizing.decision import Binding, Decision
from aiapi_operator.sizing.diagnoses import DIAGNOSES
from aiapi_operator.sizing.explain import load, message, need, verdict
from aiapi_operator.sizing.facts import Facts
from aiapi_operator.sizing.guards import GUARDS
from aiapi_operator.sizing.guards.guarded import Guarded
from aiapi_operator.sizing.inputs import Fleet, SizingSpec
from aiapi_operator.sizing.learners import LEARNERS
from aiapi_operator.sizing.learners.pod_start import seconds as pod_start
from aiapi_operator.sizing.learners.worker_use import WorkerUse, priced
from aiapi_operator.sizing.look import look
from aiapi_operator.sizing.needs import NEEDS
from aiapi_operator.sizing.plan import workers_for
from aiapi_operator.sizing.pods import SETTLES
from aiapi_operator.sizing.propose import Proposal, propose
from aiapi_operator.sizing.requirement import Requirement, Requirements, together
from aiapi_operator.sizing.state import Outcome, Size, State

WORKER_START = 1.0
"""Seconds until a new worker serves, after the tick that orders it. Uvicorn with a small app takes
about one."""
MEMORIES = (
    *LEARNERS,
    *(guard.learner for guard in GUARDS if guard.learner is not None),
    *(diagnosis.learner for diagnosis in DIAGNOSES if diagnosis.learner is not None),
)
"""All learners: those of ``LEARNERS``, and those of guards and diagnoses."""


def decide(
    spec: SizingSpec,
    fleet: Fleet,
    state: State,
    now: float,
    *,
    without: Container[type] = (),
) -> Decision:
    """The desired fleet.

    Verdict and message compare it with the running fleet. In ``Recommend`` mode the answer is the
    same as in ``Auto``. ``Verdict.HOLDING`` and ``WARMING_UP`` never shrink anything. If no pod
    answered, ``workers`` is only the best estimate and must not be applied to silent pods.

    ``without`` leaves out learners, by the type they learn, as if they were not listed.
    """
    facts, state = look(spec, fleet, _on_one_clock(state, now), now)
    for learner in MEMORIES:
        if learner.kind not in without:
            facts.memory[learner.kind] = learner.learn(facts.memory.get(learner.kind), facts)
    needs, soon = _needs(facts)
    proposal = propose(facts, needs, soon) if facts.known else _as_it_runs(facts)
    size, held = _guard(proposal.size, facts, needs)
    request = priced(spec, facts.get(WorkerUse))
    return Decision(
        workers=size.workers,
        replicas=size.replicas,
        verdict=verdict(facts, held, size),
        message=message(facts, needs, held, size),
        need=need(facts, needs),
        load=load(facts),
        conditions=tuple(diagnosis.check(facts, needs, size) for diagnosis in DIAGNOSES),
        state=_remember(state, facts, needs, size, proposal),
        worker_cpu=request.worker_cpu,
        worker_memory=request.worker_memory,
    )


def _on_one_clock(state: State, now: float) -> State:
    """The state, reset as after a restart if the clock went back: its times are no longer valid."""
    if state.now is None or not now < state.now:
        return state
    last = state.last
    if last is not None:
        last = Outcome(time=now, size=last.size, replicas_before=last.size.replicas, need=None)
    return State(last=last, memory=restored(checkpoint(state)))


def _needs(facts: Facts) -> tuple[Requirements, Requirements]:
    """The need when workers ordered now will serve, and when pods ordered now will serve."""
    if not facts.known:
        size = facts.start
        held = Requirement(
            binding=Binding.HELD,
            reason="",
            workers=float(size.total),
            survivors=float(size.workers * (size.replicas - 1)),
        )
        return together([held]), together([held])
    spec = facts.spec
    pods_ready = spec.interval + pod_start(facts)
    now = _require(facts, spec.interval + WORKER_START)
    if workers_for(now.carry, facts.start.replicas) > facts.plannable.workers.max:
        # Workers alone do not suffice, so the load at the time when new pods serve counts.
        now = _require(facts, pods_ready)
    return now, _require(facts, pods_ready + SETTLES)


def _require(facts: Facts, lead: float) -> Requirements:
    found = (method(facts, lead) for method in NEEDS)
    return together([each for each in found if each is not None])


def _as_it_runs(facts: Facts) -> Proposal:
    return Proposal(size=facts.start, move=None)


def _guard(size: Size, facts: Facts, needs: Requirements) -> tuple[Size, list[Guarded]]:
    held = []
    for guard in GUARDS:
        guarded = guard.check(size, facts, needs)
        if guarded is not None:
            held.append(guarded)
            size = guarded.size
    return size, held


def _remember(
    state: State, facts: Facts, needs: Requirements, size: Size, proposal: Proposal
) -> State:
    ordered = 0 if facts.last is None else facts.last.size.replicas
    last = Outcome(
        time=facts.now,
        size=size,
        replicas_before=max(facts.base.replicas, ordered),
        need=needs.carry.total if facts.known else None,
        move=proposal.move,
    )
    return State(
        since=state.since,
        now=state.now,
        last=last,
        samples=state.samples,
        columns=state.columns,
        merged=state.merged,
        ticks=facts.ticks,
        memory=facts.memory,
    )


def checkpoint(state: State, saved: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The fields of ``status`` that the next operator reads. ``saved`` are those written last."""
    fields: dict[str, Any] = {}
    for learner in MEMORIES:
        known = state.memory.get(learner.kind)
        if known is not None:
            fields |= learner.checkpoint(known, saved or {})
    return fields


def restored(saved: Mapping[str, Any]) -> dict[type, Any]:
    """What each learner starts with, from the fields that the previous operator wrote."""
    found = ((learner.kind, learner.restore(saved)) for learner in MEMORIES)
    return {kind: known for kind, known in found if known is not None}
