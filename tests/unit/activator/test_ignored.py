"""The activator and the pods' runtime ignore the same requests: one table for both."""

from urllib.parse import unquote

import pytest

from aiapi_operator.activator import ignored
from aiapi_runtime.telemetry import idleness

INTERNAL, BELOW = ("/internal",), ("/internal/*",)


@pytest.mark.parametrize(
    ("path", "agent", "patterns", "expected"),
    [
        ("/healthz", "", (), True),
        ("/metrics", "", (), True),
        ("/.well-known/aiapi-activator", "", (), True),
        ("/healthz/", "", (), False),
        ("/healthcare", "", (), False),
        ("/health%7a", "", (), True),
        ("/", "kube-probe/1.36", (), True),
        ("/", "Prometheus/3.1", (), True),
        ("/", "my kube-probe/1.36", (), False),
        ("/internal", "", INTERNAL, True),
        ("/internal/", "", INTERNAL, False),
        ("/internal/a", "", INTERNAL, False),
        ("/internals", "", INTERNAL, False),
        ("/Internal", "", INTERNAL, False),
        ("/%69nternal", "", INTERNAL, True),
        ("/internal", "", BELOW, False),
        ("/internal/", "", BELOW, True),
        ("/internal/a/b", "", BELOW, True),
        ("/internals/a", "", BELOW, False),
        ("/internal-a", "", ("/internal*",), True),
        ("/[a]", "", ("/[a]",), True),
        ("/a", "", ("/[a]*",), False),
        ("/", "", ("/",), True),
        ("/chat", "", ("/",), False),
        ("/chat", "", ("/*",), True),
        ("/chat", "curl/8", ("/internal", "/status"), False),
    ],
)
def test_ignored_requests(path: str, agent: str, patterns: tuple[str, ...], expected: bool) -> None:
    assert ignored.is_ignored(path, agent, patterns) is expected
    headers = [(b"user-agent", agent.encode())] if agent else []
    scope = {"path": unquote(path), "headers": headers}
    paths = idleness.IgnoredPaths.parse(",".join(patterns))
    assert idleness.is_ignored(scope, paths) is expected


def test_both_ignore_the_same_paths_and_agents_by_default() -> None:
    assert set(idleness.DEFAULT_PATHS) == ignored.PATHS
    assert {each.decode() for each in idleness.PROBE_AGENTS} == set(ignored.USER_AGENTS)
