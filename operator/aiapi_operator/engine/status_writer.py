"""Writes status and Events when they change.

Decisions and conditions are written at once. Numbers vary under a steady load, so they are written
once a minute, or within seconds where the load changed by more than chance.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.errors import ClusterError, Conflict, NotFound
from aiapi_operator.cluster.resources import AIAPIS, Manifest
from aiapi_operator.engine import checkpoint, conditions, jumps, status, status_events
from aiapi_operator.engine.activation import Phase
from aiapi_operator.engine.aiapi_ref import AIApiRef
from aiapi_operator.engine.conditions import StatusCondition
from aiapi_operator.engine.existence import ensure_exists
from aiapi_operator.engine.pod_requests import Learned
from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.engine.status import Deadband
from aiapi_operator.engine.status_events import StatusEvent, size
from aiapi_operator.engine.written_status import (
    DECISION_FIELDS,
    WrittenStatus,
    essential,
    numbers,
)
from aiapi_operator.sizing.decision import Binding, Condition, Decision, Verdict
from aiapi_operator.sizing.inputs import PodRuntime
from aiapi_operator.sizing.savings import Savings
from aiapi_operator.sizing.state import State

NUMBERS_INTERVAL = 60.0
"""Minimum seconds between two writes that change only numbers."""
JUMP_INTERVAL = 5.0
"""The same where a number changed by more than chance."""
_NO_DATA = "NoData"
"""The reason of conditions that are unknown for lack of samples."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class StatusWriterState:
    """What was last reported of an AIApi."""

    conditions: dict[str, StatusCondition] = field(default_factory=dict)
    deadband: Deadband = field(default_factory=Deadband)
    written: WrittenStatus | None = None
    decision: Decision | None = None
    decided_at: str = ""
    """When the decision last changed."""
    decided: tuple[Any, ...] = ()
    """Workers, replicas and reason of that decision."""
    unconfirmed: dict[str, StatusCondition] = field(default_factory=dict)
    """Conditions of the previous operator that this one knows nothing about yet."""
    requests: Learned = (0.0, 0)
    """What workers use according to the status."""
    is_pending: bool = False
    """Whether the last write failed."""
    examined: float = 0.0
    """When the numbers were last compared with those written, and were the same."""

    @classmethod
    def restore(cls, document: Manifest) -> Self:
        """Start from an existing status."""
        decision, found = document.get("decision") or {}, conditions.read(document)
        return cls(
            conditions=found,
            written=WrittenStatus.of(document, 0.0) if document else None,
            decided_at=decision.get("time", ""),
            decided=tuple(decision.get(key) for key in ("workers", "replicas", "reason")),
            unconfirmed=dict(found),
        )

    @property
    def phase(self) -> str:
        """Who answers requests according to the status as written; empty where it is not said."""
        document = self.written.document if self.written else {}
        return str((document.get("activation") or {}).get("phase") or "")

    def requests_for(self, decision: Decision) -> Learned:
        """What pods may be resized to: a successor knows only what the status has, and would take
        the rest back. A first decision is made from the status."""
        return _requests(decision) if self.decision is None else self.requests

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
    sizing: State | None = None
    """The right-sizer's state where no pod runs: the savings grow without a decision."""

    @property
    def counted(self) -> State | None:
        """What the savings totals are in."""
        return self.sizing if self.decision is None else self.decision.state


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
        """Write the result of one tick. A failed status write is retried in the next tick."""
        ref = AIApiRef.of(manifest)
        before, previous, phase = state.conditions, state.decision, state.phase
        now = self._timestamp()
        state.conditions = conditions.update(
            update.conditions, before, now=now, generation=update.aiapi.metadata.generation
        )
        if update.decision is not None:
            update = self._take_decision(state, update, update.decision, now)
        await self._write_status(ref, state, update)
        events = [
            *status_events.of_phase(update.activation or {}, phase),
            *status_events.of_conditions(state.conditions, before),
        ]
        if update.decision is not None and update.is_applied:
            events = [*status_events.of_decision(update.decision, previous), *events]
        for event in events:
            await self._emit(manifest, event)

    def _take_decision(
        self, state: StatusWriterState, update: StatusUpdate, decision: Decision, now: str
    ) -> StatusUpdate:
        """Keep the decision. Returns what to report: not that a start knows nothing yet."""
        is_first, state.decision = state.decision is None, decision
        is_known = decision.need.binding is not Binding.HELD
        starts = is_first and decision.verdict is Verdict.WARMING_UP
        if starts or is_known:
            _keep_unconfirmed(state)
        if is_first:
            state.requests = _requests(decision)
        if is_first and state.written is not None:
            # The previous operator wrote it, so its numbers are recent.
            state.written = replace(state.written, time=self._clock())
        if starts and not is_known and size(decision) == state.decided[:2]:
            return replace(update, decision=None)
        decided = (*size(decision), decision.verdict.value)
        if state.decided != decided:
            state.decided, state.decided_at = decided, now
        return update

    async def _write_status(
        self, ref: AIApiRef, state: StatusWriterState, update: StatusUpdate
    ) -> None:
        state.is_pending = False
        document = self._due(state, update)
        if document is None:
            return
        if "savings" in document and update.counted is not None:
            document["savings"] |= checkpoint.totals(update.counted)
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
            state.is_pending = True
            return
        state.written = WrittenStatus.of(document, self._clock())
        if update.decision is not None:
            state.requests = _requests(update.decision)

    def _due(self, state: StatusWriterState, update: StatusUpdate) -> dict[str, Any] | None:
        """The status, if it is to be written now. Most ticks need only a few parts of it."""
        inputs, written = _inputs(state, update, self._shard), state.written
        if written is None:
            return _document(state, inputs)
        outline = _with_kept(status.outline(inputs), inputs)
        is_changed = essential(outline, state.conditions) != written.essential
        if is_changed or _requests_changed(state, inputs.decision):
            return _document(state, inputs)
        now = self._clock()
        if now - written.time < JUMP_INTERVAL:
            return None
        if _has_jumped(state, inputs):
            return _document(state, inputs)
        if now < max(written.time, state.examined) + NUMBERS_INTERVAL:
            return None
        state.examined = now
        document = _document(state, inputs)
        return None if numbers(document) == written.numbers else document

    async def _emit(self, manifest: Manifest, event: StatusEvent) -> None:
        fields = AIApiRef.of(manifest).log_fields()
        _log.info("%s: %s", event.reason, event.message, extra=fields)
        try:
            await self._cluster.emit(
                manifest, kind=event.kind, reason=event.reason, message=event.message
            )
        except ClusterError as error:
            _log.warning("posting an event failed: %s", error, extra=fields)


def _keep_unconfirmed(state: StatusWriterState) -> None:
    """Keep the conditions of the previous operator until this one has data for them."""
    for kind, before in list(state.unconfirmed.items()):
        found = state.conditions.get(kind)
        if found is not None and (found.status, found.reason) == ("Unknown", _NO_DATA):
            state.conditions[kind] = before
        else:
            del state.unconfirmed[kind]


def _inputs(
    state: StatusWriterState, update: StatusUpdate, shard: int | None
) -> status.StatusInputs:
    return status.StatusInputs(
        aiapi=update.aiapi,
        pods=update.pods,
        workers=update.workers,
        decision=update.decision,
        decided_at=state.decided_at,
        savings=update.savings,
        conditions=state.conditions,
        runtimes=update.runtimes,
        written=state.written.document if state.written is not None else {},
        sizing=update.sizing,
        activation=update.activation,
        shard=shard,
    )


def _document(state: StatusWriterState, inputs: status.StatusInputs) -> dict[str, Any]:
    return _with_kept(status.build(inputs, state.deadband), inputs)


def _with_kept(document: dict[str, Any], inputs: status.StatusInputs) -> dict[str, Any]:
    """With the fields as last written that stay where this tick has none."""
    # Without a decision in this tick, the fields of the last one stay.
    kept: tuple[str, ...] = ("savings", "learned", "runtime")
    if inputs.decision is None:
        kept = DECISION_FIELDS
    if (inputs.activation or {}).get("phase") == Phase.ASLEEP:
        kept = ("workers", "learned", "runtime")
    return {**{name: inputs.written[name] for name in kept if name in inputs.written}, **document}


def _requests(decision: Decision) -> Learned:
    return decision.worker_cpu, decision.worker_memory


def _requests_changed(state: StatusWriterState, decision: Decision | None) -> bool:
    """Whether workers use something else. It is written at once: pods are resized only then."""
    return decision is not None and _requests(decision) != state.requests


def _has_jumped(state: StatusWriterState, inputs: status.StatusInputs) -> bool:
    decision = inputs.decision
    if decision is None:
        return False
    return jumps.has_jumped(
        status.signs(decision.load, state.deadband), inputs.written.get("load") or {}
    )
