"""The /metrics text is the same as prometheus_client's for the same families."""

from math import inf, nan

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Exemplar as ReferenceExemplar

from aiapi_runtime.telemetry import exposition
from aiapi_runtime.telemetry.exposition import Bucket, Exemplar, MetricFamily

# The headers of Prometheus 2.x and 3.x, a browser's, and single formats.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.75,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
ACCEPT = [
    "",
    "*/*",
    "text/html,application/xhtml+xml,*/*;q=0.8",
    "text/plain",
    "text/plain;version=0.0.4",
    "text/plain; version=1.0.0",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text",
    "application/openmetrics-text;version=0.0.1",
    "application/openmetrics-text; version=1.0.0; escaping=underscores",
    "application/openmetrics-text;version=0.0.1,text/plain;version=1.0.0",
    PROMETHEUS_2,
    PROMETHEUS_3,
]
VALUES = [0, 1, -2.5, 0.1 + 0.2, 1e6, 123456.789, 1234567.5, 2**53, 1e16, 1e-7, inf, -inf, nan]
LABELS = {"z": "last", "a": 'quo"te', "b": "back\\slash", "c": "line\nbreak", "d": "Grüße \u2713"}
HELP = 'A "help" text with a \\ and\na line break.'


def ours():
    gauge = MetricFamily("gauge", "a_gauge", HELP)
    for number, value in enumerate(VALUES):
        gauge.add(value, {**LABELS, "n": str(number)})
    counter = MetricFamily("counter", "a_counter", HELP)
    counter.add(7, {"value": "a label may be named value"})
    empty = MetricFamily("counter", "an_empty_one", "Nothing yet.")
    histogram = MetricFamily("histogram", "a_histogram", HELP)
    exemplar = Exemplar({"trace_id": "0af7"}, 0.3, 1700000000.25)
    buckets = [Bucket(0.25, 1), Bucket(1000000.0, 3, exemplar), Bucket(inf, 4)]
    histogram.add_histogram(buckets, 12.5, {"step": "embed"})
    below_zero = MetricFamily("histogram", "a_histogram_below_zero", HELP)
    below_zero.add_histogram([Bucket(-1.0, 1), Bucket(inf, 2)], -3.0, {})
    return [gauge, counter, empty, histogram, below_zero]


class Reference:
    """The same families, made by prometheus_client."""

    def collect(self):
        names = [*LABELS, "n"]
        gauge = GaugeMetricFamily("a_gauge", HELP, labels=names)
        for number, value in enumerate(VALUES):
            gauge.add_metric([*LABELS.values(), str(number)], value)
        yield gauge
        counter = CounterMetricFamily("a_counter", HELP, labels=["value"])
        counter.add_metric(["a label may be named value"], 7)
        yield counter
        yield CounterMetricFamily("an_empty_one", "Nothing yet.", labels=["x"])
        histogram = HistogramMetricFamily("a_histogram", HELP, labels=["step"])
        exemplar = ReferenceExemplar({"trace_id": "0af7"}, 0.3, 1700000000.25)
        buckets = [("0.25", 1), ("1000000.0", 3, exemplar), ("+Inf", 4)]
        histogram.add_metric(["embed"], buckets, 12.5)
        yield histogram
        below_zero = HistogramMetricFamily("a_histogram_below_zero", HELP)
        below_zero.add_metric([], [("-1.0", 1), ("+Inf", 2)], -3.0)
        yield below_zero


@pytest.mark.parametrize("accept", ACCEPT)
def test_type_and_text_equal_those_of_prometheus_client(accept):
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Reference())
    encode, content_type = choose_encoder(accept)
    assert exposition.render(ours(), accept) == (content_type, encode(registry))


def test_both_formats_parse_with_every_label_and_value():
    for accept, parse in (("", parse_text), (PROMETHEUS_3, parse_openmetrics)):
        # The strict parser refuses a histogram that has no sum.
        families = list(parse(exposition.render(ours()[:4], accept)[1].decode()))
        gauge = next(family for family in families if family.name == "a_gauge")
        assert gauge.documentation == HELP
        assert [sample.labels["a"] for sample in gauge.samples] == ['quo"te'] * len(VALUES)
        assert {name: gauge.samples[0].labels[name] for name in LABELS} == LABELS
        assert repr([sample.value for sample in gauge.samples]) == repr([*map(float, VALUES)])


def test_exemplars_are_in_openmetrics_only():
    families = parse_openmetrics(exposition.render(ours()[:4], PROMETHEUS_2)[1].decode())
    histogram = next(family for family in families if family.name == "a_histogram")
    (exemplar,) = [sample.exemplar for sample in histogram.samples if sample.exemplar]
    assert (exemplar.labels, exemplar.value) == ({"trace_id": "0af7"}, 0.3)
    assert b"trace_id" not in exposition.render(ours(), "text/plain")[1]


def test_a_version_that_is_no_number_gets_the_oldest_format():
    assert exposition.render([], "text/plain;version=x;q")[0] == exposition.TEXT
