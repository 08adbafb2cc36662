"""A summary of an AIApi and its status, for the CLI and the console."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiapi_operator.api.duration import is_duration, parse_duration
from aiapi_operator.api.spec import Latency
from aiapi_operator.api.status import NO_ACTIVATOR, NO_PORT

DEFAULT = Latency()
HEALTHY_WHEN_TRUE = {"Ready", "Accepted", "Reconciled"}
WITHHELD = {
    "RequestsFailing": "not shown while requests fail",
    "ObjectiveMissed": "not shown while the objective is missed",
}
PHASES = ("Leaving", "Asleep", "Waking")
_NUMBER = re.compile(r"^-?[0-9]+([.][0-9]+)?(e[+-]?[0-9]+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class AIApiSummary:
    """One AIApi. Fields that are not in the status are empty."""

    namespace: str
    name: str
    mode: str
    objective: str
    """Threshold of the objective that is closest to being missed."""
    percentile: str
    """Percentile of that objective, such as p95 or p95 first byte."""
    measured: str
    """Latency or time to the first byte at that percentile."""
    ready: str
    replicas: int
    ready_replicas: int
    workers: int
    load: dict[str, str]
    need: dict[str, Any]
    decision: dict[str, Any]
    savings: dict[str, Any]
    problems: tuple[dict[str, str], ...]
    """Conditions that need attention."""
    activation: dict[str, Any]

    @property
    def wanted(self) -> str:
        """The fleet of the last decision, as pods x workers."""
        decision = self.decision
        if not decision:
            return "-"
        return f"{decision.get('replicas', 0)} x {decision.get('workers', 0)}"

    @property
    def running(self) -> str:
        """The current fleet, as ready pods / pods x workers."""
        return f"{self.ready_replicas}/{self.replicas} x {self.workers}"

    @property
    def phase(self) -> str:
        """Leaving, Asleep or Waking; empty while pods serve, or if they always do."""
        found = str(self.activation.get("phase", ""))
        return found if found in PHASES else ""

    @property
    def is_asleep(self) -> bool:
        """Whether no pod runs, as intended."""
        return self.phase == "Asleep"

    @property
    def cannot_sleep(self) -> str:
        """Why the AIApi keeps pods although it may go to zero; empty if it can."""
        message = str(self.activation.get("message", ""))
        return message if NO_ACTIVATOR in message or NO_PORT in message else ""

    @property
    def misses_objective(self) -> bool:
        """Whether an objective is missed."""
        measured, objective = seconds(self.measured), seconds(self.objective)
        return measured is not None and objective is not None and measured > objective

    @property
    def failing(self) -> str:
        """The share of requests that fail."""
        return self.load.get("failing", "-")

    @property
    def is_failing(self) -> bool:
        """Whether so many requests fail that this needs attention."""
        return any(problem["type"] == "RequestsFailing" for problem in self.problems)

    @property
    def saved(self) -> str:
        """The saving; a dash where none is known, or none is to be shown."""
        return str(self.savings.get("percent", "-"))

    @property
    def saving_withheld(self) -> str:
        """Why no saving is shown, in words; empty where there is no such reason."""
        return WITHHELD.get(str(self.savings.get("withheld", "")), "")

    def document(self) -> dict[str, Any]:
        """The summary as JSON data."""
        return {
            "namespace": self.namespace,
            "name": self.name,
            "mode": self.mode,
            "ready": self.ready,
            "replicas": self.replicas,
            "readyReplicas": self.ready_replicas,
            "workers": self.workers,
            "objective": {
                "percentile": self.percentile,
                "threshold": self.objective,
                "measured": self.measured,
            },
            "load": self.load,
            "need": self.need,
            "decision": self.decision,
            "savings": self.savings,
            "problems": list(self.problems),
            "activation": self.activation,
        }


def from_manifest(manifest: dict[str, Any]) -> AIApiSummary:
    """The summary of a manifest; any field may be missing."""
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    conditions = status.get("conditions") or ()
    ready = next((c["status"] for c in conditions if c["type"] == "Ready"), "Unknown")
    return AIApiSummary(
        namespace=manifest["metadata"]["namespace"],
        name=manifest["metadata"]["name"],
        mode=(spec.get("scaling") or {}).get("mode", "Auto"),
        **_objective(spec.get("objective") or {}, status),
        ready=ready,
        replicas=status.get("replicas", 0),
        ready_replicas=status.get("readyReplicas", 0),
        workers=status.get("workers", 0),
        load=status.get("load") or {},
        need=status.get("need") or {},
        decision=status.get("decision") or {},
        savings=status.get("savings") or {},
        problems=tuple(c for c in conditions if is_problem(c)),
        activation=status.get("activation") or {},
    )


def _objective(given: dict[str, Any], status: dict[str, Any]) -> dict[str, str]:
    """The objective in the status, with what the spec has of it."""
    found = status.get("objective") or {}
    only_first = "firstByte" in given and "latency" not in given
    first = found.get("type", "FirstByte" if only_first else "Latency") == "FirstByte"
    field = "firstByte" if first else "latency"
    own = given.get(field) or {}
    return {
        "objective": own.get("threshold") or found.get("threshold") or DEFAULT.threshold,
        "percentile": f"p{own.get('percentile', DEFAULT.percentile):g}{' first byte' * first}",
        "measured": found.get("measured") or (status.get("load") or {}).get(field, ""),
    }


def is_problem(condition: dict[str, str]) -> bool:
    """Whether a condition needs attention. Unknown does not."""
    bad = "False" if condition["type"] in HEALTHY_WHEN_TRUE else "True"
    return condition["status"] == bad


def seconds(text: str | None) -> float | None:
    """Seconds of a duration in the status."""
    return parse_duration(text) if text and is_duration(text) else None


def number(text: str | None) -> float | None:
    """A number in the status."""
    return float(text) if text and _NUMBER.match(text) else None


def fraction(text: str | None) -> float | None:
    """A percentage in the status, as 0..1."""
    value = number(text.removesuffix("%")) if text and text.endswith("%") else None
    return None if value is None else value / 100


def age(time: str | None, now: datetime) -> str:
    """The age in days, hours, minutes or seconds."""
    if not time:
        return "-"
    then = parse_time(time)
    if then is None:
        return "-"
    passed = max(0, round((now - then).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if passed >= 2 * size:
            return f"{passed // size}{unit}"
    return f"{passed}s"


def parse_time(time: str) -> datetime | None:
    """Parses a Kubernetes timestamp; None if it is invalid."""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
