"""What the status holds for the next operator: read at a start, written with each decision.

Totals grow with time alone. They are told along with whatever else is written, and by themselves
once an hour, so that a settled AIApi is not written over and over.
"""

from typing import Any, Protocol

from aiapi_operator.api.duration import format_duration, is_duration, parse_duration
from aiapi_operator.api.quantity import (
    format_cpu,
    format_memory,
    is_quantity,
    parse_bytes,
    parse_cores,
)
from aiapi_operator.sizing.restore import Left, left
from aiapi_operator.sizing.state import Size, State


class Settle(Protocol):
    """Keeps a number as it was told until it moved by enough."""

    def __call__(
        self, key: str, value: float | None, *, floor: float = 0.0, worth: float = 0.1
    ) -> float | None: ...


TOLD_EVERY = 3600.0
"""Seconds after which totals that have grown are worth a write by themselves."""
_TOTALS = ("observedSeconds", "workerSeconds", "podSeconds", "peakWorkers", "peakReplicas")


def totals(state: State) -> dict[str, Any]:
    """The counters of the savings, as they are now."""
    spend = state.spend
    document = {
        "observedSeconds": int(spend.seconds),
        "workerSeconds": int(spend.worker_seconds),
        "podSeconds": int(spend.pod_seconds),
    }
    if spend.peak is not None:
        document |= {"peakWorkers": spend.peak.workers, "peakReplicas": spend.peak.replicas}
    return document


def settled_totals(state: State, told: dict[str, Any]) -> dict[str, Any]:
    """The counters as they were told last, or as they are now where that is too long ago."""
    now = totals(state)
    before = {key: told[key] for key in _TOTALS if key in told}
    peak = ("peakWorkers", "peakReplicas")
    same_peak = all(before.get(key) == now.get(key) for key in peak)
    old = now["observedSeconds"] - before.get("observedSeconds", 0) >= TOLD_EVERY
    return before if before and same_peak and not old else now


def learned(state: State, settle: Settle) -> dict[str, Any]:
    """What took long to learn. Fields without data are absent."""
    found = left(state)
    fitted = state.memory.request
    request = settle("request_memory", fitted.bytes if fitted else None)
    correction = settle("correction", found.correction, floor=0.04, worth=0.0) or 1.0
    document = {
        "workerCpu": format_cpu(round(found.worker_cpu, 3)) if found.worker_cpu else None,
        "workerMemory": format_memory(found.worker_memory) if found.worker_memory else None,
        "requestMemory": f"{max(1, round(request / 1024))}Ki" if request else None,
        "podStart": format_duration(round(found.pod_lead)) if found.pod_lead else None,
        "utilizationFactor": f"{correction:.2f}" if correction < 1 else None,
    }
    return {key: value for key, value in document.items() if value is not None}


def read(status: dict[str, Any]) -> Left:
    """What the operator before this one left; it may be of an older version."""
    savings, known = status.get("savings") or {}, status.get("learned") or {}
    observed = _count(savings.get("observedSeconds"))
    peak = Size(
        workers=_count(savings.get("peakWorkers")), replicas=_count(savings.get("peakReplicas"))
    )
    cpu, memory = known.get("workerCpu", ""), known.get("workerMemory", "")
    lead = known.get("podStart", "")
    return Left(
        seconds=observed,
        worker_seconds=_count(savings.get("workerSeconds")),
        pod_seconds=_count(savings.get("podSeconds")),
        peak=peak if peak.total > 0 else None,
        worker_cpu=parse_cores(cpu) if is_quantity(cpu) else 0.0,
        worker_memory=parse_bytes(memory) if is_quantity(memory) else 0,
        pod_lead=parse_duration(lead) if is_duration(lead) else None,
        correction=_part(known.get("utilizationFactor", "")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _part(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
