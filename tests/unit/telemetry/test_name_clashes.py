"""Metrics whose names are taken are left out, and each is logged once."""

import pytest

from aiapi_runtime.telemetry import name_clashes
from aiapi_runtime.telemetry.exposition import MetricFamily


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (("counter", "x"), ("counter", "x")),
        (("counter", "x"), ("gauge", "x_total")),
        (("gauge", "x_count"), ("histogram", "x")),
        (("histogram", "x"), ("summary", "x")),
    ],
)
def test_a_taken_name_is_left_out_and_logged_once(monkeypatch, caplog, first, other):
    monkeypatch.setattr(name_clashes, "_reported", set())
    family = MetricFamily(*other, "theirs")
    for _ in range(2):
        assert name_clashes.without_clashes([MetricFamily(*first, "ours")], [family]) == []
    message = (
        f"the app's metric {other[1]} is not in the pod's /metrics: another metric has its name"
    )
    assert [record.getMessage().startswith(message) for record in caplog.records] == [True]


def test_of_two_metrics_of_the_app_the_first_is_shown():
    one, other = MetricFamily("gauge", "x", "one"), MetricFamily("gauge", "x", "other")
    free = MetricFamily("gauge", "y", "free")
    assert name_clashes.without_clashes([], [one, other, free]) == [one, free]
