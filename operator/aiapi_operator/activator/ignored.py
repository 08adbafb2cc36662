"""Which requests neither wake an AIApi nor keep it awake. Pure.

Probes and scrapes reach an API also while nobody uses it. The pods' runtimes ignore the same
requests when they report how long they have been idle.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

PROBE_PATH = "/.well-known/aiapi-activator"
"""Where the operator asks, through the Service, whether an activator answers."""
PATHS = frozenset(
    {"/health", "/healthz", "/livez", "/readyz", "/ready", "/ping", "/metrics", PROBE_PATH}
)
USER_AGENTS = ("kube-probe/", "Prometheus/")


def is_ignored(path: str, user_agent: str, patterns: Iterable[str]) -> bool:
    """Whether a request is a health check, a scrape, or for a path that the user excluded."""
    if path in PATHS or user_agent.startswith(USER_AGENTS):
        return True
    return any(_matches(path, pattern) for pattern in patterns)


def _matches(path: str, pattern: str) -> bool:
    """Patterns with ``*`` match the whole path; others match it and the paths below it."""
    if "*" in pattern:
        return fnmatchcase(path, pattern)
    return path == pattern or path.startswith(pattern.rstrip("/") + "/")
