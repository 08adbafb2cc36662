"""What the status holds for the next operator: read at a start, written with each decision.

Totals grow with time alone. They are told along with whatever else is written, and by themselves
once an hour, so that a settled AIApi is not written over and over. The daily profile is told when
another jump is known, so twice an hour at most.

Whatever the status says of this is read with care: it may be an older operator's, or a hand's.
"""

from collections.abc import Iterator
from math import isfinite, nan
from typing import Any, Protocol

from aiapi_operator.api.duration import format_duration, is_duration, parse_duration
from aiapi_operator.api.quantity import (
    format_cpu,
    format_memory,
    is_quantity,
    parse_bytes,
    parse_cores,
)
from aiapi_operator.sizing.restore import Checkpoint, checkpoint_of
from aiapi_operator.sizing.state import Profile, Size, State


class Settle(Protocol):
    """Keeps a number as it was told until it moved by enough."""

    def __call__(
        self, key: str, value: float | None, *, floor: float = 0.0, worth: float = 0.1
    ) -> float | None: ...


TOLD_EVERY = 3600.0
"""Seconds after which totals that have grown are worth a write by themselves."""
LITTLE = 0.01
"""Headroom below this is not worth telling."""
PROFILE_AFTER = 12
"""Half hours without news after which it is worth telling how many were seen."""
_TOTALS = ("observedSeconds", "workerSeconds", "podSeconds", "peakWorkers", "peakReplicas")


def totals(state: State) -> dict[str, Any]:
    """The counters of the savings, as they are now."""
    spend = state.usage
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


def learned(state: State, settle: Settle, told: dict[str, Any]) -> dict[str, Any]:
    """What took long to learn. Fields without data are absent; ``told`` is what was told last."""
    found = checkpoint_of(state)
    base = settle("base_latency", found.base or None)
    headroom = settle("headroom", found.headroom, floor=0.04, worth=0.0)
    fitted = state.memory.request
    request = settle("request_memory", fitted.bytes if fitted else None)
    queueing = settle("queueing", found.queueing or None, floor=0.1, worth=0.0)
    document = {
        "workerCpu": format_cpu(round(found.worker_cpu, 3)) if found.worker_cpu else None,
        "workerMemory": format_memory(found.worker_memory) if found.worker_memory else None,
        "requestMemory": f"{max(1, round(request / 1024))}Ki" if request else None,
        "podStart": format_duration(round(found.pod_lead)) if found.pod_lead else None,
        "queueingFactor": f"{queueing:.2f}" if queueing else None,
        "baseLatency": format_duration(base) if base else None,
        "headroom": f"{100 * headroom:.0f}%" if headroom and headroom >= LITTLE else None,
        "profile": _profile(found.profile, _part(told, "profile")),
    }
    return {key: value for key, value in document.items() if value is not None}


def _profile(profile: Profile, told: dict[str, Any]) -> dict[str, Any] | None:
    """The daily profile, or as it was told last where it is much the same."""
    numbers = [round(100 * jump) for jump in profile.jumps]
    if not any(numbers):
        return None
    jumps = " ".join(map(str, numbers))
    if jumps == told.get("jumps") and profile.seen < _count(told.get("seen")) + PROFILE_AFTER:
        return told
    return {
        "jumps": jumps,
        "seen": profile.seen,
        "errors": f"{profile.off:.3g}",
        "errorsWithout": f"{profile.moved:.3g}",
    }


def read(status: Any) -> Checkpoint:
    """What the operator before this one left; it may be of an older version."""
    savings, known = _part(status, "savings"), _part(status, "learned")
    need, load = _part(status, "need"), _part(status, "load")
    peak = Size(
        workers=_count(savings.get("peakWorkers")), replicas=_count(savings.get("peakReplicas"))
    )
    cpu, memory = _text(known, "workerCpu"), _text(known, "workerMemory")
    factor, headroom = _number(_text(known, "queueingFactor")), _text(known, "headroom")
    return Checkpoint(
        seconds=_count(savings.get("observedSeconds")),
        worker_seconds=_count(savings.get("workerSeconds")),
        pod_seconds=_count(savings.get("podSeconds")),
        peak=peak if peak.total > 0 else None,
        worker_cpu=parse_cores(cpu) if is_quantity(cpu) else 0.0,
        worker_memory=parse_bytes(memory) if is_quantity(memory) else 0,
        pod_lead=_seconds(known, "podStart") or None,
        queueing=factor if isfinite(factor) else 0.0,
        service=_seconds(need, "serviceDemand"),
        base=_seconds(known, "baseLatency"),
        percentile=_percentile(_text(load, "percentile")),
        headroom=_number(headroom.removesuffix("%")) / 100 if headroom.endswith("%") else None,
        profile=_read_profile(_part(known, "profile")),
    )


def _read_profile(known: dict[str, Any]) -> Profile:
    """``Profile`` as it was written; ``sizing`` judges whether it makes sense."""
    jumps = tuple(_hundredths(_text(known, "jumps")))
    if not jumps:
        return Profile()
    return Profile(
        jumps=jumps,
        seen=_count(known.get("seen")),
        off=_number(_text(known, "errors")),
        moved=_number(_text(known, "errorsWithout")),
    )


def _hundredths(text: str) -> Iterator[float]:
    return (_number(one) / 100 for one in text.split())


def _percentile(text: str) -> float:
    found = _number(text.removeprefix("p"))
    return found if isfinite(found) else 0.0


def _part(document: Any, name: str) -> dict[str, Any]:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _text(known: dict[str, Any], name: str) -> str:
    found = known.get(name)
    return found if isinstance(found, str) else ""


def _seconds(known: dict[str, Any], name: str) -> float:
    text = _text(known, name)
    return parse_duration(text) if is_duration(text) else 0.0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _number(text: str) -> float:
    """What makes no sense is not a number."""
    try:
        return float(text)
    except ValueError:
        return nan
