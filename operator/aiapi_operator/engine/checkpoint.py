"""Converts the right-sizer's checkpoint to and from the status.

The status carries the savings totals and slowly learned values to the next operator. Totals
grow all the time: they are written together with other changes, and otherwise once an hour, so
that a steady AIApi causes no writes. The daily profile is written when another half hour is
known, at most twice an hour.

An older version or a user may have written the status, so reading tolerates any content.
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


class Filter(Protocol):
    """Keeps a number until it moves by more than a tolerance."""

    def __call__(
        self, key: str, value: float | None, *, absolute: float = 0.0, relative: float = 0.1
    ) -> float | None: ...


TOTALS_INTERVAL = 3600.0
"""Seconds after which grown totals alone are written."""
MIN_HEADROOM = 0.01
"""Smaller headroom is not written."""
PROFILE_INTERVAL = 12
"""Half hours after which an otherwise unchanged profile is written."""
_TOTALS = ("observedSeconds", "workerSeconds", "podSeconds", "peakWorkers", "peakReplicas")


def totals(state: State) -> dict[str, Any]:
    """The current savings counters."""
    usage = state.usage
    document = {
        "observedSeconds": int(usage.seconds),
        "workerSeconds": int(usage.worker_seconds),
        "podSeconds": int(usage.pod_seconds),
    }
    if usage.peak is not None:
        document |= {"peakWorkers": usage.peak.workers, "peakReplicas": usage.peak.replicas}
    return document


def settled_totals(state: State, written: dict[str, Any]) -> dict[str, Any]:
    """The counters as last written, or the current ones when those are too old."""
    current = totals(state)
    before = {key: written[key] for key in _TOTALS if key in written}
    peak = ("peakWorkers", "peakReplicas")
    same_peak = all(before.get(key) == current.get(key) for key in peak)
    age = current["observedSeconds"] - before.get("observedSeconds", 0)
    return before if before and same_peak and age < TOTALS_INTERVAL else current


def learned(state: State, keep: Filter, written: dict[str, Any]) -> dict[str, Any]:
    """``status.learned``; ``written`` is its last version. Fields without data are absent."""
    found = checkpoint_of(state)
    base = keep("base_latency", found.base or None)
    headroom = keep("headroom", found.headroom, absolute=0.04, relative=0.0)
    fitted = state.memory.request
    request = keep("request_memory", fitted.bytes if fitted else None)
    queueing = keep("queueing", found.queueing or None, absolute=0.1, relative=0.0)
    document = {
        "workerCpu": format_cpu(round(found.worker_cpu, 3)) if found.worker_cpu else None,
        "workerMemory": format_memory(found.worker_memory) if found.worker_memory else None,
        "requestMemory": f"{max(1, round(request / 1024))}Ki" if request else None,
        "podStart": format_duration(round(found.pod_lead)) if found.pod_lead else None,
        "queueingFactor": f"{queueing:.2f}" if queueing else None,
        "baseLatency": format_duration(base) if base else None,
        "headroom": f"{100 * headroom:.0f}%" if headroom and headroom >= MIN_HEADROOM else None,
        "profile": _profile(found.profile, _part(written, "profile")),
    }
    return {key: value for key, value in document.items() if value is not None}


def _profile(profile: Profile, written: dict[str, Any]) -> dict[str, Any] | None:
    """The daily profile, or its last written version when the two are nearly the same."""
    numbers = [round(100 * jump) for jump in profile.jumps]
    if not any(numbers):
        return None
    jumps = " ".join(map(str, numbers))
    recent = profile.seen < _count(written.get("seen")) + PROFILE_INTERVAL
    if jumps == written.get("jumps") and recent:
        return written
    return {
        "jumps": jumps,
        "seen": profile.seen,
        "errors": f"{profile.off:.3g}",
        "errorsWithout": f"{profile.moved:.3g}",
    }


def read(status: Any) -> Checkpoint:
    """The checkpoint in a status."""
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
    """The profile as written; ``sizing`` checks its values."""
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
    """NaN for text that is not a number."""
    try:
        return float(text)
    except ValueError:
        return nan
