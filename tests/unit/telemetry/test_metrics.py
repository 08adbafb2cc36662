"""An app's own metrics: from several workers into one pod, bounded, and kept when workers end."""

import pytest

from aiapi_runtime.telemetry import exposition, metrics
from aiapi_runtime.telemetry.app_metrics import AppMetrics
from aiapi_runtime.telemetry.shared_memory import SlotMemory


class Worker:
    """One process's metrics: with its own registry, as after a fork."""

    def __init__(self, monkeypatch, memory, app_metrics, slot):
        self._monkeypatch = monkeypatch
        self._registry = metrics._Registry()
        self._registry.attach(
            memory.slots[slot].custom, lambda said: app_metrics.define(slot, said) or 1
        )

    def __enter__(self):
        self._monkeypatch.setattr(metrics, "_registry", self._registry)
        return metrics

    def __exit__(self, *_):
        self._registry.write()


@pytest.fixture
def memory():
    return SlotMemory.create(4)


@pytest.fixture
def app_metrics(memory):
    return AppMetrics(memory)


@pytest.fixture
def worker(monkeypatch, memory, app_metrics):
    return lambda slot: Worker(monkeypatch, memory, app_metrics, slot)


def shown(app_metrics):
    _, text = exposition.render(app_metrics.families(), "application/openmetrics-text")
    lines = text.decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_counters_and_histograms_of_all_workers_are_added(app_metrics, worker):
    for slot in (0, 1):
        with worker(slot) as app:
            app.counter("tokens", "Tokens.", ["model"]).labels("m").inc(5 + slot)
            app.histogram("step_seconds", "Step.", ["step"], [0.1, 1]).labels("embed").observe(0.5)
    assert shown(app_metrics) == {
        'tokens_total{model="m"}': "11.0",
        'step_seconds_bucket{le="0.1",step="embed"}': "0.0",
        'step_seconds_bucket{le="1.0",step="embed"}': "2.0",
        'step_seconds_bucket{le="+Inf",step="embed"}': "2.0",
        'step_seconds_count{step="embed"}': "2.0",
        'step_seconds_sum{step="embed"}': "1.0",
    }


def test_counts_of_a_departed_worker_stay_and_its_gauges_do_not(memory, app_metrics, worker):
    with worker(0) as app:
        app.counter("calls", "Calls.").labels().inc(3)
        app.gauge("open_calls", "Open.").labels().set(7)
    app_metrics.fold(0)
    assert shown(app_metrics) == {"calls_total": "3.0", "open_calls": "0.0"}
    assert not any(memory.slots[0].custom), "the cells are free for the next worker"
    with worker(0) as app:
        app.counter("calls", "Calls.").labels().inc(1)
    assert shown(app_metrics)["calls_total"] == "4.0"


def test_gauges_merge_by_sum_or_maximum(app_metrics, worker):
    for slot in (0, 1):
        with worker(slot) as app:
            app.gauge("open_calls", "Open.").labels().inc(2 + slot)
            app.gauge("breaker", "1: open.", merge="max").labels().set(slot)
    assert shown(app_metrics) == {"open_calls": "5.0", "breaker": "1.0"}


def test_the_maximum_of_negative_values_is_negative(app_metrics, worker):
    for slot in (0, 1):
        with worker(slot) as app:
            app.gauge("celsius", "Outside.", merge="max").labels().set(-5 - slot)
    assert shown(app_metrics) == {"celsius": "-5.0"}


def test_gauges_set_on_import_are_shown_and_counts_are_not(monkeypatch, memory, app_metrics):
    registry = metrics._Registry()
    monkeypatch.setattr(metrics, "_registry", registry)
    metrics.gauge("build", "Of this.", ["version"]).labels("1.2").set(1)
    metrics.gauge("build", "Of this.", ["version"]).labels("never set")
    calls = metrics.counter("calls", "Calls.").labels()
    calls.inc(3)
    registry.attach(memory.slots[0].custom, lambda said: app_metrics.define(0, said) or True)
    registry.write()
    assert shown(app_metrics) == {'build{version="1.2"}': "1.0"}
    calls.inc()
    registry.write()
    assert shown(app_metrics)["calls_total"] == "1.0"


def test_label_sets_are_bounded_per_worker_and_over_all_workers(app_metrics, worker):
    for life in range(3):
        with worker(0) as app:
            users = app.counter("users", "Users.", ["user"])
            for number in range(150):
                users.labels(f"{life}-{number}").inc()
        app_metrics.fold(0)
    rows = shown(app_metrics)
    assert len(rows) <= metrics.MAX_LABEL_SETS + 1
    assert rows['users_total{user="other"}'] == "350.0"
    assert sum(map(float, rows.values())) == 450


def test_values_that_cannot_be_written_yet_are_kept(monkeypatch, memory):
    said = []
    registry = metrics._Registry()
    registry.attach(memory.slots[0].custom, lambda meaning: len(said) > 0)
    monkeypatch.setattr(metrics, "_registry", registry)
    calls = metrics.counter("calls", "Calls.").labels()
    calls.inc()
    registry.write()
    assert not any(memory.slots[0].custom)
    said.append(1)
    calls.inc()
    registry.write()
    assert memory.slots[0].custom[0] == 2


def test_a_name_has_one_definition(worker):
    with worker(0) as app:
        first = app.counter("calls", "Calls.", ["a"])
        assert app.counter("calls", "Calls.", ["a"]) is first
        with pytest.raises(ValueError, match="the metric calls already exists"):
            app.counter("calls", "Calls.", ["b"])
        for wrong in ("le", "1st", "a b", ""):
            with pytest.raises(ValueError, match="not a valid name"):
                app.counter("fine", "Calls.", [wrong])
        with pytest.raises(ValueError, match="has the labels"):
            first.labels()
        with pytest.raises(ValueError, match="cannot decrease"):
            first.labels("x").inc(-1)
        with pytest.raises(ValueError, match="must ascend"):
            app.histogram("times", "Times.", bounds=[1, 1])
