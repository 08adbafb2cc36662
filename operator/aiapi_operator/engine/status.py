"""Builds the status document: load, need, decision and savings, in rounded numbers. Pure.

Rounding has a deadband: a number changes only when it moved by more than a tenth. A fleet under
steady load therefore causes no status writes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiapi_operator.api import AIApi
from aiapi_operator.api.duration import format_duration
from aiapi_operator.engine import checkpoint
from aiapi_operator.engine.conditions import StatusCondition
from aiapi_operator.engine.pod_view import PodView
from aiapi_operator.manifests.labels import selector_text
from aiapi_operator.sizing.checkpoint import CLOSE
from aiapi_operator.sizing.decision import Decision, Load
from aiapi_operator.sizing.inputs import LatencyObjective, ObjectiveKind, PodRuntime
from aiapi_operator.sizing.savings import Savings
from aiapi_operator.sizing.spec import objectives
from aiapi_operator.sizing.state import State

_RELATIVE_PRICE = 0.02
_FIELDS = {ObjectiveKind.LATENCY: "latency", ObjectiveKind.FIRST_BYTE: "first_byte"}
_NO_RUNTIME = PodRuntime()
_RUNTIME = PodRuntime.__struct_fields__


@dataclass(slots=True)
class Deadband:
    """Keeps a number until it moves by more than a tolerance."""

    kept: dict[str, float] = field(default_factory=dict)

    def filter(
        self,
        key: str,
        value: float | None,
        *,
        absolute: float = 0.0,
        relative: float = CLOSE,
    ) -> float | None:
        """``value``, or the kept number when the two are within the tolerance."""
        if value is None:
            self.kept.pop(key, None)
            return None
        kept = self.kept.get(key)
        if kept is None or abs(value - kept) > max(relative * abs(kept), absolute):
            self.kept[key] = value
            return value
        return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusInputs:
    """What the status is built from."""

    aiapi: AIApi
    pods: Sequence[PodView]
    workers: int | None
    decision: Decision | None
    decided_at: str
    savings: Savings | None
    conditions: dict[str, StatusCondition]
    runtimes: Sequence[PodRuntime] = ()
    """The runtimes that the pods report."""
    written: dict[str, Any] = field(default_factory=dict)
    """The status as last written."""
    sizing: State | None = None
    """The right-sizer's state in a tick without a decision in which the savings go on."""
    activation: dict[str, Any] | None = None
    """``status.activation``; None for an AIApi that may not go to zero."""
    shard: int | None = None
    """The shard that acts on the AIApi; None without shards."""


def outline(inputs: StatusInputs) -> dict[str, Any]:
    """What every tick compares with the status as last written: nothing measured."""
    decision = inputs.decision
    return _present(
        {
            "observedGeneration": inputs.aiapi.metadata.generation,
            "shard": inputs.shard,
            "replicas": len(inputs.pods),
            "readyReplicas": sum(pod.ready for pod in inputs.pods),
            "workers": inputs.workers,
            "runtime": _runtime(inputs.runtimes),
            "activation": _activation(inputs),
            "decision": None if decision is None else _decision(decision, inputs.decided_at),
        }
    )


def signs(load: Load, deadband: Deadband) -> dict[str, Any]:
    """The numbers of ``load`` that show at once that it is another one. See jumps.py."""
    keep = deadband.filter
    return {
        "requestsPerSecond": _number(keep("arrivals", load.arrivals_per_second, absolute=0.5)),
        "inFlight": _number(keep("in_flight", load.in_flight, absolute=0.5)),
        "failing": _failing(load.failing, deadband),
    }


def build(inputs: StatusInputs, deadband: Deadband) -> dict[str, Any]:
    """The status. Fields without data are absent."""
    aiapi, decision = inputs.aiapi, inputs.decision
    document: dict[str, Any] = {
        **outline(inputs),
        "selector": selector_text(aiapi.name),
        "conditions": [each.manifest() for _, each in sorted(inputs.conditions.items())],
    }
    if decision is not None:
        load = _settled(decision.load, deadband)
        document["objective"] = _objective(aiapi, load)
        document["load"] = _load(aiapi, load, deadband)
        document["need"] = _need(decision, deadband)
        document["learned"] = _learned(inputs, decision) or None
    sizing = inputs.sizing if decision is None else decision.state
    if sizing is not None:
        document["savings"] = _savings(inputs, sizing, deadband) or None
    return _present(document)


def _activation(inputs: StatusInputs) -> dict[str, Any] | None:
    return None if inputs.activation is None else _present(inputs.activation)


def _runtime(runtimes: Sequence[PodRuntime]) -> dict[str, str] | None:
    """The most frequent runtime; during a rollout, pods have different ones."""
    found = runtimes[0] if runtimes else _NO_RUNTIME
    if any(each is not found for each in runtimes):
        known = Counter(each for each in runtimes if each != _NO_RUNTIME)
        ((found, _count),) = known.most_common(1) or ((_NO_RUNTIME, 0),)
    return {name: text for name in _RUNTIME if (text := getattr(found, name))} or None


def _learned(inputs: StatusInputs, decision: Decision) -> dict[str, Any]:
    written = inputs.written.get("learned") or {}
    return checkpoint.learned(decision.state, written)


def _settled(load: Load, deadband: Deadband) -> Load:
    """The load with times that hardly moved as they were, so that no other objective is shown."""
    kept = {
        field: deadband.filter(field, getattr(load, field), absolute=0.0005)
        for field in _FIELDS.values()
    }
    return replace(load, **kept)


def _objective(aiapi: AIApi, load: Load) -> dict[str, Any]:
    """The objective that is closest to being missed."""
    worst = load.nearest(_objectives(aiapi))
    given = getattr(aiapi.spec.objective.effective, _FIELDS[worst.kind])
    return {
        "type": worst.kind.value,
        "percentile": f"p{worst.percentile:g}",
        "threshold": given.threshold,
        "measured": _duration(load.measured(worst.kind)),
    }


def _objectives(aiapi: AIApi) -> tuple[LatencyObjective, ...]:
    return objectives(aiapi.spec.objective)


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else format_duration(seconds)


def _load(aiapi: AIApi, load: Load, deadband: Deadband) -> dict[str, Any]:
    keep = deadband.filter
    percentiles = {each.kind: f"p{each.percentile:g}" for each in _objectives(aiapi)}
    return {
        "latency": _duration(load.latency),
        "percentile": percentiles.get(ObjectiveKind.LATENCY),
        "firstByte": _duration(load.first_byte),
        "firstBytePercentile": percentiles.get(ObjectiveKind.FIRST_BYTE),
        "completedPerSecond": _number(keep("completed", load.completed_per_second, absolute=0.5)),
        "utilization": _percent(keep("utilization", load.loop_utilization, absolute=0.03)),
        "upstreamShare": _percent(keep("upstream", load.upstream_share, absolute=0.05)),
        "threads": _percent(keep("threads", load.threads_utilization, absolute=0.05)),
        "shedPerSecond": _number(keep("shed", load.shed_per_second, absolute=0.1)),
        **signs(load, deadband),
    }


def _failing(share: float | None, deadband: Deadband) -> str | None:
    # No failures and few are different things, so zero has no tolerance.
    kept = deadband.filter("failing", share or None, absolute=0.001)
    return _small_percent(kept if share else share)


def _need(decision: Decision, deadband: Deadband) -> dict[str, Any]:
    need, keep = decision.need, deadband.filter
    service = keep("service", need.service_demand)
    return {
        "workers": need.workers,
        "binding": need.binding.value,
        "demandPerSecond": _number(keep("demand", need.demand, absolute=0.5)),
        "serviceDemand": _duration(service),
        "targetUtilization": _percent(keep("target", need.target_utilization, absolute=0.03)),
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


def _savings(inputs: StatusInputs, sizing: State, deadband: Deadband) -> dict[str, Any]:
    """The totals from the first tick on, so that a restart loses none; the savings once known."""
    known = {} if inputs.savings is None else _known_savings(inputs.savings, deadband)
    written = inputs.written.get("savings") or {}
    return known | checkpoint.settled_totals(sizing, written)


def _known_savings(savings: Savings, deadband: Deadband) -> dict[str, Any]:
    keep = deadband.filter
    percent = keep("percent", savings.percent, absolute=1.0, relative=0.0)
    cost = keep("cost", savings.cost_hour, relative=_RELATIVE_PRICE)
    baseline = keep("baseline", savings.baseline_hour, relative=_RELATIVE_PRICE)
    return {
        "percent": None if percent is None else f"{round(percent)}%",
        "withheld": None if savings.withheld is None else savings.withheld.value,
        "costPerHour": None if cost is None else f"{cost:.4g}",
        "baselinePerHour": None if baseline is None else f"{baseline:.4g}",
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


def _small_percent(part: float | None) -> str | None:
    """4.2% and 0.42%, where small shares matter."""
    if part is None:
        return None
    return f"{100 * part:.2g}%" if part < 0.1 else _percent(part)


def _present(document: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _present(value) if isinstance(value, dict) else value
        for key, value in document.items()
        if value is not None
    }
