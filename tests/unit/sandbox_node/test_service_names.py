"""Service names in URLs, as a cluster's DNS would resolve them."""

import pytest

from aiapi_sandbox.node.service_names import ServiceNameResolver, cluster_ips


def moved(address: tuple[str, int]) -> tuple[str, int]:
    """Without root, ports below 1024 are served 10000 ports higher."""
    host, port = address
    return (host, port + 10_000) if port < 1024 else address


SERVICES = [
    {"metadata": {"namespace": "a", "name": "llm"}, "spec": {"clusterIP": "127.96.0.7"}},
    {"metadata": {"namespace": "b", "name": "llm"}, "spec": {"clusterIP": "127.96.0.8"}},
    {"metadata": {"namespace": "a", "name": "headless"}, "spec": {"clusterIP": "None"}},
]
resolve = ServiceNameResolver(namespace="a", addresses=cluster_ips(SERVICES), actual_address=moved)


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("http://llm:8080", "http://127.96.0.7:8080"),
        ("http://llm:8080/v1?x=1", "http://127.96.0.7:8080/v1?x=1"),
        ("http://llm", "http://127.96.0.7:10080"),
        ("https://llm/v1", "https://127.96.0.7:10443/v1"),
        ("http://llm.b:8080", "http://127.96.0.8:8080"),
        ("http://llm.b.svc.cluster.local/x", "http://127.96.0.8:10080/x"),
        ("postgres://user:pass@llm:5432/db", "postgres://user:pass@127.96.0.7:5432/db"),
        ('{"url": "http://llm:8080/a", "n": 1}', '{"url": "http://127.96.0.7:8080/a", "n": 1}'),
        ("http://llm:8080,http://llm.b:8080", "http://127.96.0.7:8080,http://127.96.0.8:8080"),
    ],
)
def test_service_hosts_are_resolved(text: str, resolved: str) -> None:
    assert resolve(text) == resolved


@pytest.mark.parametrize(
    "text",
    [
        "llm",
        "http://other:8080",
        "http://headless:8080",
        "http://llm.example.com/",
        "http://llm-two/",
        "http://llm.b.svc.example/",
        "/llm://",
        "",
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert resolve(text) == text
