"""Scale to zero in the output of ``explain``: the phase, why, and what would end it. Pure."""

from datetime import datetime
from typing import Any

from rich.text import Text

from aiapi_operator.api.duration import format_duration
from aiapi_operator.api.summary import AIApiSummary, age
from aiapi_operator.present.numbers import count

_TO_ZERO_AFTER = "5m"


def phase(view: AIApiSummary, now: datetime) -> Text | None:
    """Who answers requests, since when and why; None for an AIApi that keeps its pods."""
    found = view.activation
    if "phase" not in found:
        return None
    since, message = age(found.get("since"), now), found.get("message", "")
    text = Text.assemble((str(found["phase"]), "bold"), f" for {since}: {message}")
    if view.phase and found.get("port"):
        text.append(f" Activators listen on port {found['port']}.")
    return text


def at_zero(view: AIApiSummary) -> Text | None:
    """The time without a pod, or what it would have been."""
    seconds = view.activation.get("asleepSeconds", 0)
    if not seconds:
        return None
    time = format_duration(float(seconds))
    if view.mode == "Recommend":
        return Text(f"replicas.min 0 in mode Auto would have saved the pods for {time}")
    return Text(f"no pod ran for {time} in total")


def what_wakes(view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    """What starts the pods of an AIApi at zero."""
    pods = count(view.activation.get("wakeReplicas", 1), "pod")
    changes = [
        f"a request that is no probe: it starts {pods}, and waits until one is ready",
        f"kubectl scale deployment/{view.name} --replicas=1 -n {view.namespace}",
        "a higher spec.replicas.min (now 0)",
    ]
    if (spec.get("scaling") or {}).get("schedules"):
        changes.append("a schedule in spec.scaling.schedules that begins")
    return changes


def what_sleeps(view: AIApiSummary, spec: dict[str, Any]) -> list[str]:
    """When an AIApi that serves goes to zero."""
    if view.activation.get("phase") != "Serving" or (spec.get("replicas") or {}).get("min") != 0:
        return []
    after = (spec.get("scaling") or {}).get("toZeroAfter", _TO_ZERO_AFTER)
    after_wake_ups = "up to three times as long after wake-ups in the last hour"
    return [f"no request for {after} (spec.scaling.toZeroAfter), or {after_wake_ups}: no pod"]
