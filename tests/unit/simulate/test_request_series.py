"""The queries for the requests of a Deployment."""

from aiapi_operator.simulate.request_series import SOURCES, Workload, found_series, selectors

WORKLOAD = Workload(
    namespace="shop", name="chat", services=("chat", "chat-web"), probe_paths=("/healthz", "/a.b")
)
PODS = 'namespace="shop",pod=~"chat-[a-z0-9]+-[a-z0-9]{5}"'


def test_each_label_scheme_is_looked_for_once_with_all_its_counters() -> None:
    found = selectors(WORKLOAD)
    assert "http_requests_total" in found[PODS]
    assert "starlette_requests_total" in found[PODS]
    assert found['namespace="shop",job=~"(shop/)?(chat|chat-web)"']
    assert not any("{" in matchers.replace("{5}", "") for matchers in found)


def test_the_source_closest_to_the_app_comes_first_and_probes_do_not_count() -> None:
    istio = 'reporter="source",destination_workload_namespace="shop",destination_workload="chat"'
    present = {istio: {"istio_requests_total": 1.0}, PODS: {"http_requests_total": 0.4}}
    first, second = found_series(WORKLOAD, present)
    assert first.source.name == "prometheus-fastapi-instrumentator"
    assert first.query == (
        f'sum(rate(http_requests_total{{{PODS},handler!~"/healthz|/a\\\\.b"}}[2m]))'
    )
    assert second.query == f"sum(rate(istio_requests_total{{{istio}}}[2m]))"


def test_the_first_label_scheme_with_samples_counts() -> None:
    """A series under two label schemes is the same requests."""
    other = 'job=~"(shop/)?(chat|chat-web)"'
    (found,) = found_series(
        WORKLOAD, {PODS: {"http_requests_total": 1.0}, other: {"http_requests_total": 1.0}}
    )
    assert found.matchers == PODS


def test_a_metric_that_is_hardly_ever_there_is_not_the_traffic() -> None:
    assert found_series(WORKLOAD, {PODS: {"http_requests_total": 0.04}}) == ()


def test_latencies_are_in_seconds() -> None:
    for source in SOURCES:
        counter = source.counters[0]
        matchers = next(each for each, names in selectors(WORKLOAD).items() if counter in names)
        query = found_series(WORKLOAD, {matchers: {counter: 1.0}})[0].latency_query(95, "5m")
        if source.histogram:
            assert query.startswith("histogram_quantile(0.95, sum by (le) (rate(")
            assert query.endswith("/ 1000") == (not source.histogram.endswith("_seconds"))
        else:
            assert query == ""
