"""Says what happened: the status, Events and metrics, and nothing when there is nothing to say."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.cluster.errors import ClusterError, Conflict, NotFound
from aiapi_operator.cluster.resources import AIAPIS, Manifest
from aiapi_operator.engine import checkpoint, conditions, status
from aiapi_operator.engine.aiapi_state import AIApiState, WrittenStatus
from aiapi_operator.engine.conditions import StatusCondition
from aiapi_operator.engine.existence import ensure_exists
from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.engine.ports import Cluster
from aiapi_operator.sizing.decision import Condition, Decision, Verdict
from aiapi_operator.sizing.savings import Savings

NUMBERS_EVERY = 5.0
"""Seconds between two writes for numbers' sake alone."""
SAVINGS_EVERY = 60.0
_CHANGES = {Verdict.SCALED_UP, Verdict.SCALED_DOWN, Verdict.REBALANCED}
_DECIDED = ("workers", "load", "need", "decision", "savings", "learned")
_GOOD = {"Ready", "Accepted", "Reconciled"}
"""Conditions that are well when true; the others are diagnoses."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """What a tick has to tell."""

    aiapi: AIApi
    pods: list[PodView]
    workers: int | None
    decision: Decision | None
    acted: bool
    savings: Savings | None
    conditions: Iterable[Condition]


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """One Event."""

    reason: str
    kind: str
    message: str


class StatusWriter:
    """Writes status and Events of AIApis, as rarely as that serves people."""

    def __init__(
        self, cluster: Cluster, *, clock: Callable[[], float], wall: Callable[[], str]
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._wall = wall

    async def tell(self, subject: AIApiState, news: StatusUpdate) -> None:
        """Tell the news of one tick. A status that cannot be written is told with the next."""
        before, previous = subject.conditions, subject.decision
        now = self._wall()
        subject.conditions = conditions.update(
            news.conditions, before, now=now, generation=news.aiapi.metadata.generation
        )
        if news.decision is not None:
            if previous is None or _differs(news.decision, previous):
                subject.decided_at = now
            subject.decision = news.decision
        await self._write(subject, self._document(subject, news))
        for said in (*_orders(news, previous), *_turns(subject.conditions, before)):
            await self._emit(subject, said)

    def _document(self, subject: AIApiState, news: StatusUpdate) -> dict[str, Any]:
        rounding = status.Deadband(subject.numbers)
        before = subject.told.document if subject.told is not None else {}
        report = status.StatusInputs(
            aiapi=news.aiapi,
            pods=news.pods,
            workers=news.workers,
            decision=news.decision,
            decided_at=subject.decided_at,
            savings=news.savings,
            conditions=subject.conditions,
            told=before,
        )
        document = status.build(report, rounding)
        if news.decision is None:
            # Nothing was decided, so what was told of the last decision still stands.
            return {**_kept(before, *_DECIDED), **document}
        return {**_kept(before, "savings", "learned"), **document}

    async def _write(self, subject: AIApiState, document: dict[str, Any]) -> None:
        if not self._worth_writing(subject.told, document):
            return
        if "savings" in document and subject.decision is not None:
            document["savings"] |= checkpoint.totals(subject.decision.state)
        namespace, name = subject.key
        manifest: Manifest = {
            "apiVersion": AIAPIS.api_version,
            "kind": AIAPIS.kind,
            # The uid keeps the status from an AIApi of the same name that came after.
            "metadata": {"name": name, "namespace": namespace, "uid": subject.uid},
            "status": document,
        }
        try:
            await self._cluster.apply_status(manifest)
        except (NotFound, Conflict):
            await ensure_exists(self._cluster, subject)
            return
        except ClusterError as error:
            _log.warning("the status could not be written: %s", error, extra=_where(subject))
            return
        subject.told = WrittenStatus(document, self._clock())

    def _worth_writing(self, told: WrittenStatus | None, document: dict[str, Any]) -> bool:
        if told is None or _essence(document) != _essence(told.document):
            return True
        age = self._clock() - told.written
        if _numbers(document) != _numbers(told.document):
            return age >= NUMBERS_EVERY
        return document.get("savings") != told.document.get("savings") and age >= SAVINGS_EVERY

    async def _emit(self, subject: AIApiState, said: StatusEvent) -> None:
        _log.info("%s: %s", said.reason, said.message, extra=_where(subject))
        try:
            await self._cluster.emit(
                subject.manifest, kind=said.kind, reason=said.reason, message=said.message
            )
        except ClusterError as error:
            _log.warning("an event could not be posted: %s", error, extra=_where(subject))


def _kept(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


def _differs(one: Decision, other: Decision) -> bool:
    return _order(one) != _order(other) or one.verdict is not other.verdict


def _order(decision: Decision) -> tuple[int, int]:
    return decision.workers, decision.replicas


def _essence(document: dict[str, Any]) -> dict[str, Any]:
    """What is told at once when it changes; sentences and numbers are not in it."""
    decision = document.get("decision") or {}
    counts = ("observedGeneration", "replicas", "readyReplicas", "workers")
    return {
        **{key: document.get(key) for key in counts},
        "decision": [decision.get(key) for key in ("workers", "replicas", "reason", "binding")],
        "conditions": sorted(
            [told.type, told.status, told.reason, told.observed_generation]
            for told in conditions.read(document).values()
        ),
    }


def _numbers(document: dict[str, Any]) -> dict[str, Any]:
    return {key: document.get(key) for key in ("load", "need", "learned")}


def _orders(news: StatusUpdate, previous: Decision | None) -> Iterable[StatusEvent]:
    decision = news.decision
    if decision is None or not news.acted or decision.verdict not in _CHANGES:
        return
    if previous is None or _order(previous) != _order(decision):
        yield StatusEvent(decision.verdict.value, "Normal", decision.message)


def _turns(
    now: dict[str, StatusCondition], before: dict[str, StatusCondition]
) -> Iterable[StatusEvent]:
    """Conditions that turned: to bad, or Ready to good. A new AIApi is not ready: no news."""
    for told in now.values():
        was = before.get(told.type)
        if told.type in _GOOD:
            if told.status == "True" and told.type == "Ready" and not _is(was, "True"):
                yield StatusEvent("Ready", "Normal", told.message)
            elif told.status == "False" and _is_news(told, was):
                yield StatusEvent(told.reason, "Warning", told.message)
        elif told.status == "True" and not _is(was, "True"):
            yield StatusEvent(told.type, "Warning", told.message)


def _is_news(told: StatusCondition, was: StatusCondition | None) -> bool:
    return told.type != "Ready" if was is None else was.reason != told.reason


def _is(told: StatusCondition | None, status: str) -> bool:
    return told is not None and told.status == status


def _where(subject: AIApiState) -> dict[str, str]:
    namespace, name = subject.key
    return {"namespace": namespace, "aiapi": name}
