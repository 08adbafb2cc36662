"""The status document: what was seen, needed, decided and saved, in rounded numbers. Pure.

Rounding is done with a memory: a number is told anew only when it moved by more than a tenth.
So a fleet under steady load, or without any, does not write its status over and over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.api.duration import format_duration
from aiapi_operator.engine import checkpoint
from aiapi_operator.engine.conditions import StatusCondition
from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.manifests.labels import selector_text
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.savings import Savings

_WORTH = 0.1
_FINE = 0.02


@dataclass(slots=True)
class Deadband:
    """Numbers as they were told last."""

    told: dict[str, float] = field(default_factory=dict)

    def settle(
        self, key: str, value: float | None, *, floor: float = 0.0, worth: float = _WORTH
    ) -> float | None:
        """``value``, or what was told before if it is near enough to it."""
        if value is None:
            self.told.pop(key, None)
            return None
        before = self.told.get(key)
        if before is None or abs(value - before) > max(worth * abs(before), floor):
            self.told[key] = value
            return value
        return before


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusInputs:
    """What there is to tell after a tick. Without a decision, what was told of one stays."""

    aiapi: AIApi
    pods: Sequence[PodView]
    workers: int | None
    decision: Decision | None
    decided_at: str
    savings: Savings | None
    conditions: dict[str, StatusCondition]
    told: dict[str, Any] = field(default_factory=dict)
    """The status as it was told last."""


def build(report: StatusInputs, rounding: Deadband) -> dict[str, Any]:
    """The status. Fields without data are absent."""
    aiapi, decision = report.aiapi, report.decision
    document: dict[str, Any] = {
        "observedGeneration": aiapi.metadata.generation,
        "selector": selector_text(aiapi.name),
        "replicas": len(report.pods),
        "readyReplicas": sum(pod.ready for pod in report.pods),
        "workers": report.workers,
        "conditions": [told.manifest() for _, told in sorted(report.conditions.items())],
    }
    if decision is not None:
        document["load"] = _load(aiapi, decision, rounding)
        document["need"] = _need(decision, rounding)
        document["decision"] = _decision(decision, report.decided_at)
        document["learned"] = _learned(report, decision, rounding) or None
    if report.savings is not None:
        document["savings"] = _savings(report.savings, rounding)
        if decision is not None:
            told = report.told.get("savings") or {}
            document["savings"] |= checkpoint.settled_totals(decision.state, told)
    return _present(document)


def _learned(report: StatusInputs, decision: Decision, rounding: Deadband) -> dict[str, Any]:
    told = report.told.get("learned") or {}
    return checkpoint.learned(decision.state, rounding.settle, told)


def _load(aiapi: AIApi, decision: Decision, rounding: Deadband) -> dict[str, Any]:
    load, settle = decision.load, rounding.settle
    latency = settle("latency", load.latency, floor=0.0005)
    return {
        "latency": None if latency is None else format_duration(latency),
        "percentile": f"p{aiapi.spec.objective.latency.percentile:g}",
        "requestsPerSecond": _number(settle("arrivals", load.arrivals_per_second, floor=0.5)),
        "completedPerSecond": _number(settle("completed", load.completed_per_second, floor=0.5)),
        "inFlight": _number(settle("in_flight", load.in_flight, floor=0.5)),
        "utilization": _percent(settle("utilization", load.loop_utilization, floor=0.03)),
        "upstreamShare": _percent(settle("upstream", load.upstream_share, floor=0.05)),
        "threads": _percent(settle("threads", load.threads_utilization, floor=0.05)),
        "shedPerSecond": _number(settle("shed", load.shed_per_second, floor=0.1)),
    }


def _need(decision: Decision, rounding: Deadband) -> dict[str, Any]:
    need, settle = decision.need, rounding.settle
    service = settle("service", need.service_demand)
    return {
        "workers": need.workers,
        "binding": need.binding.value,
        "demandPerSecond": _number(settle("demand", need.demand, floor=0.5)),
        "serviceDemand": None if service is None else format_duration(service),
        "targetUtilization": _percent(settle("target", need.target_utilization, floor=0.03)),
    }


def _decision(decision: Decision, decided_at: str) -> dict[str, Any]:
    return {
        "workers": decision.workers,
        "replicas": decision.replicas,
        "reason": decision.verdict.value,
        "message": decision.message[:1024],
        "binding": decision.need.binding.value,
        "time": decided_at,
    }


def _savings(savings: Savings, rounding: Deadband) -> dict[str, Any]:
    settle = rounding.settle
    percent = settle("percent", savings.percent, floor=1.0, worth=0.0)
    cost = settle("cost", savings.cost_hour, worth=_FINE)
    static = settle("baseline", savings.baseline_hour, worth=_FINE)
    return {
        "percent": None if percent is None else f"{round(percent)}%",
        "costPerHour": None if cost is None else f"{cost:.4g}",
        "baselinePerHour": None if static is None else f"{static:.4g}",
        "currency": savings.currency,
        "baselineWorkers": savings.baseline.workers,
        "baselineReplicas": savings.baseline.replicas,
    }


def _number(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _percent(part: float | None) -> str | None:
    return None if part is None else f"{round(100 * part)}%"


def _present(document: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _present(value) if isinstance(value, dict) else value
        for key, value in document.items()
        if value is not None
    }
