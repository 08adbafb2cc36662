"""Which requests count as use of the pod, and for how long it has not been used.

Probes and scrapes come whether or not anyone uses the app, so they do not keep it awake. A worker
writes one number: when its last request ended, or `IN_USE` while one is open. That is monotonic
time, which all processes of a pod share and which no change of the clock moves.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

IN_USE = math.inf
# The path at which the operator asks who answers for the Service is the last.
DEFAULT_PATHS = (
    "/health",
    "/healthz",
    "/livez",
    "/readyz",
    "/ready",
    "/ping",
    "/metrics",
    "/.well-known/aiapi-activator",
)
AGENT = b"user-agent"
PROBE_AGENTS = (b"kube-probe/", b"Prometheus/")
_PATTERN = re.compile(r"/[^\s,*?#]*\*?")


def is_pattern(text: str) -> bool:
    """Whether this is a path, with a * only at its end.

    >>> is_pattern("/internal/*"), is_pattern("/*/status"), is_pattern("status")
    (True, False, False)
    """
    return _PATTERN.fullmatch(text) is not None


def split_patterns(text: str) -> list[str]:
    """The patterns in a list with commas."""
    return [each.strip() for each in text.split(",") if each.strip()]


@dataclass(frozen=True)
class IgnoredPaths:
    """Paths whose requests are no use of the pod."""

    exact: frozenset[str] = frozenset(DEFAULT_PATHS)
    prefixes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, root_path: str = "") -> "IgnoredPaths":
        """The defaults and the patterns in `text`; Uvicorn puts `root_path` before each path."""
        patterns = split_patterns(text)
        exact = (*DEFAULT_PATHS, *(each for each in patterns if not each.endswith("*")))
        return cls(
            exact=frozenset(root_path + path for path in exact),
            prefixes=tuple(root_path + each[:-1] for each in patterns if each.endswith("*")),
        )

    def matches(self, path: str) -> bool:
        return path in self.exact or path.startswith(self.prefixes)


def is_ignored(scope: Any, paths: IgnoredPaths) -> bool:
    """Whether a request is a probe or a scrape, or its path is ignored."""
    return paths.matches(scope["path"]) or any(
        name == AGENT and value.startswith(PROBE_AGENTS) for name, value in scope["headers"]
    )


def idle_seconds(used_at: float, serving_since: float, now: float) -> float:
    """Seconds since the last use, or since the pod began to serve; 0 while it is used."""
    return max(0.0, now - max(used_at, serving_since))
