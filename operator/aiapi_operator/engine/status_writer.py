"""Writes status and Events when they change.

Decisions and conditions are written at once. Numbers vary under a steady load, so they are written
once a minute, or within seconds where the load changed by more than chance.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.errors import ClusterError, Conflict, NotFound
from aiapi_operator.cluster.resources import AIAPIS, Manifest
from aiapi_operator.engine import checkpoint, conditions, jumps, status
from aiapi_operator.engine.activation import Phase
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.conditions import StatusCondition
from aiapi_operator.engine.existence import ensure_exists
from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.engine.status import Deadband
from aiapi_operator.sizing.decision import Condition, Decision, Verdict
from aiapi_operator.sizing.diagnoses import dependency_bound
from aiapi_operator.sizing.inputs import PodRuntime
from aiapi_operator.sizing.savings import Savings

NUMBERS_INTERVAL = 60.0
"""Minimum seconds between two writes that change only numbers."""
JUMP_INTERVAL = 5.0
"""The same where a number changed by more than chance."""
_CHANGES = {Verdict.SCALED_UP, Verdict.SCALED_DOWN, Verdict.REBALANCED}
_DECISION_FIELDS = (
    *("workers", "objective", "load", "need", "decision", "savings", "learned", "runtime"),
)
_NUMBERS = ("objective", "load", "need", "learned", "savings")
_POSITIVE = {"Ready", "Accepted", "Reconciled"}
"""Conditions that are healthy when true. All others are healthy when false."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WrittenStatus:
    """The status as last written, and when."""

    document: Manifest
    time: float
    essential: dict[str, Any]
    numbers: dict[str, Any]

    @classmethod
    def of(cls, document: Manifest, time: float) -> Self:
        """The status with its parts, which every tick compares."""
        return cls(document, time, _essential(document), _numbers(document))


@dataclass(slots=True)
class StatusWriterState:
    """What was last reported of an AIApi."""

    conditions: dict[str, StatusCondition] = field(default_factory=dict)
    deadband: Deadband = field(default_factory=Deadband)
    written: WrittenStatus | None = None
    decision: Decision | None = None
    decided_at: str = ""
    """When the decision last changed."""

    @classmethod
    def restore(cls, document: Manifest) -> Self:
        """Start from an existing status."""
        return cls(
            conditions=conditions.read(document),
            written=WrittenStatus.of(document, 0.0) if document else None,
            decided_at=(document.get("decision") or {}).get("time", ""),
        )

    @property
    def phase(self) -> str:
        """Who answers requests according to the status as written; empty where it is not said."""
        document = self.written.document if self.written else {}
        return str((document.get("activation") or {}).get("phase") or "")

    @property
    def workers(self) -> int:
        """Workers in each pod according to the status; 0 where it has none."""
        return int((self.written.document if self.written else {}).get("workers") or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """The result of one tick."""

    aiapi: AIApi
    pods: Sequence[PodView]
    workers: int | None
    conditions: Iterable[Condition]
    decision: Decision | None = None
    is_applied: bool = False
    """Whether the operator carries out the decision, or only recommends it."""
    savings: Savings | None = None
    runtimes: Sequence[PodRuntime] = ()
    """The runtimes that the pods report."""
    activation: Manifest | None = None
    """``status.activation``."""


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """One Event."""

    reason: str
    kind: str
    message: str


class StatusWriter:
    """Writes the status and Events of AIApis."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        clock: Callable[[], float],
        timestamp: Callable[[], str],
        shard: int | None = None,
    ) -> None:
        self._cluster = cluster
        self._shard = shard
        self._clock = clock
        self._timestamp = timestamp

    async def write(
        self, manifest: Manifest, state: StatusWriterState, update: StatusUpdate
    ) -> None:
        """Write the result of one tick. A failed status write is repeated in the next tick."""
        ref = AIApiRef.of(manifest)
        before, previous, phase = state.conditions, state.decision, state.phase
        now = self._timestamp()
        state.conditions = conditions.update(
            update.conditions, before, now=now, generation=update.aiapi.metadata.generation
        )
        if update.decision is not None:
            if previous is None or _differs(update.decision, previous):
                state.decided_at = now
            state.decision = update.decision
        document = _document(state, update)
        if self._shard is not None:
            document["shard"] = self._shard
        await self._write_status(ref, state, document)
        events = (
            *_decision_events(update, previous),
            *_phase_events(update.activation or {}, phase),
            *_condition_events(state.conditions, before),
        )
        for event in events:
            await self._emit(manifest, event)

    async def _write_status(
        self, ref: AIApiRef, state: StatusWriterState, document: dict[str, Any]
    ) -> None:
        if not self._is_due(state.written, document):
            return
        if "savings" in document and state.decision is not None:
            document["savings"] |= checkpoint.totals(state.decision.state)
        manifest: Manifest = {
            "apiVersion": AIAPIS.api_version,
            "kind": AIAPIS.kind,
            # The uid makes the write fail when a new AIApi has the same name.
            "metadata": {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid},
            "status": document,
        }
        try:
            await self._cluster.apply_status(manifest)
        except (NotFound, Conflict):
            await ensure_exists(self._cluster, ref)
            return
        except ClusterError as error:
            _log.warning("writing the status failed: %s", error, extra=ref.log_fields())
            return
        state.written = WrittenStatus.of(document, self._clock())

    def _is_due(self, written: WrittenStatus | None, document: dict[str, Any]) -> bool:
        if written is None or _essential(document) != written.essential:
            return True
        if _numbers(document) == written.numbers:
            return False
        has_jumped = jumps.has_jumped(document, written.document)
        interval = JUMP_INTERVAL if has_jumped else NUMBERS_INTERVAL
        return self._clock() - written.time >= interval

    async def _emit(self, manifest: Manifest, event: StatusEvent) -> None:
        fields = AIApiRef.of(manifest).log_fields()
        _log.info("%s: %s", event.reason, event.message, extra=fields)
        try:
            await self._cluster.emit(
                manifest, kind=event.kind, reason=event.reason, message=event.message
            )
        except ClusterError as error:
            _log.warning("posting an event failed: %s", error, extra=fields)


def _document(state: StatusWriterState, update: StatusUpdate) -> dict[str, Any]:
    written = state.written.document if state.written is not None else {}
    inputs = status.StatusInputs(
        aiapi=update.aiapi,
        pods=update.pods,
        workers=update.workers,
        decision=update.decision,
        decided_at=state.decided_at,
        savings=update.savings,
        conditions=state.conditions,
        runtimes=update.runtimes,
        written=written,
    )
    document = status.build(inputs, state.deadband)
    # Without a decision in this tick, the fields of the last one stay.
    kept: tuple[str, ...] = ("savings", "learned", "runtime")
    if update.decision is None:
        kept = _DECISION_FIELDS
    if update.activation is not None:
        document["activation"] = {k: v for k, v in update.activation.items() if v is not None}
        if update.activation.get("phase") == Phase.ASLEEP:
            kept = ("workers", "savings", "learned", "runtime")
    return {**{name: written[name] for name in kept if name in written}, **document}


def _differs(one: Decision, other: Decision) -> bool:
    return _size(one) != _size(other) or one.verdict is not other.verdict


def _size(decision: Decision) -> tuple[int, int]:
    return decision.workers, decision.replicas


def _essential(document: dict[str, Any]) -> dict[str, Any]:
    """The fields whose change is written immediately: no messages and nothing measured."""
    decision, activation = document.get("decision") or {}, document.get("activation") or {}
    counts = ("observedGeneration", "shard", "replicas", "readyReplicas", "workers")
    return {
        **{key: document.get(key) for key in counts},
        "runtime": document.get("runtime"),
        "activation": [activation.get(key) for key in ("phase", "port", "wakeReplicas")],
        "decision": [decision.get(key) for key in ("workers", "replicas", "reason", "binding")],
        "conditions": sorted(
            [each.type, each.status, _reason(each), each.observed_generation]
            for each in conditions.read(document).values()
        ),
    }


def _reason(found: StatusCondition) -> str:
    """The reason, if it matters: why a dependency is not to blame may vary with every request."""
    return "" if found.type == dependency_bound.KIND and found.status == "False" else found.reason


def _numbers(document: dict[str, Any]) -> dict[str, Any]:
    """The fields that vary under a steady load."""
    reasons = {each.type: each.reason for each in conditions.read(document).values()}
    return {"reasons": reasons, **{key: document.get(key) for key in _NUMBERS}}


def _decision_events(update: StatusUpdate, previous: Decision | None) -> Iterable[StatusEvent]:
    decision = update.decision
    if decision is None or not update.is_applied or decision.verdict not in _CHANGES:
        return
    if previous is None or _size(previous) != _size(decision):
        yield StatusEvent(decision.verdict.value, "Normal", decision.message)


def _phase_events(now: Manifest, before: str) -> Iterable[StatusEvent]:
    """That a fleet went to zero, and that it comes back."""
    phase = now.get("phase")
    if phase != before and phase in (Phase.ASLEEP, Phase.WAKING):
        yield StatusEvent(str(phase), "Normal", str(now.get("message", "")))


def _condition_events(
    now: dict[str, StatusCondition], before: dict[str, StatusCondition]
) -> Iterable[StatusEvent]:
    """Conditions that turned unhealthy, and Ready when it turned true.

    A new AIApi is not ready yet, so a first Ready=False has no Event.
    """
    for current in now.values():
        previous = before.get(current.type)
        if current.type in _POSITIVE:
            if (
                current.status == "True"
                and current.type == "Ready"
                and not _has_status(previous, "True")
            ):
                yield StatusEvent("Ready", "Normal", current.message)
            elif current.status == "False" and _has_new_reason(current, previous):
                yield StatusEvent(current.reason, "Warning", current.message)
        elif current.status == "True" and not _has_status(previous, "True"):
            yield StatusEvent(current.type, "Warning", current.message)


def _has_new_reason(current: StatusCondition, previous: StatusCondition | None) -> bool:
    return current.type != "Ready" if previous is None else previous.reason != current.reason


def _has_status(condition: StatusCondition | None, status: str) -> bool:
    return condition is not None and condition.status == status
