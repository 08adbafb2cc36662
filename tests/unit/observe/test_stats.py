"""A pod's answer is untrusted input: one invalid field rejects it as a whole."""

import contextlib
import copy
import json
import re
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiapi_operator.observe.stats import InvalidStatsError, parse
from aiapi_operator.sizing.inputs import NO_HISTOGRAM, Histogram, PodRuntime, ThreadPool

_HISTOGRAM = {"bounds": [0.01, 0.1], "counts": [5, 3, 1], "sum": 0.7}
_STATS: dict[str, Any] = {
    "version": 1,
    "instance": "9f2c",
    "uptime": 12.3,
    "ready": True,
    "workers": {
        "wanted": 3,
        "starting": 0,
        "ready": 3,
        "draining": 0,
        "failed": 0,
        "blocked": 1,
    },
    "blocked_at": "app.py:7 slow",
    "failure": "",
    "requests": {
        "success": 9,
        "client_error": 1,
        "server_error": 2,
        "cancelled": 3,
        "shed": 4,
    },
    "in_flight": 2,
    "in_flight_seconds": 5.5,
    "loop_seconds": 1,
    "worker_seconds": 36.9,
    "cpu_seconds": 1.25,
    "upstream_seconds": 4.0,
    "rss_bytes": 1000,
    "open_connections": 6,
    "accept_queue": {"depth": 0, "limit": 2048},
    "latency": _HISTOGRAM,
    "ttfb": _HISTOGRAM,
    "loop_lag": _HISTOGRAM,
}


def _with(path: str, value: object) -> bytes:
    stats = copy.deepcopy(_STATS)
    *way, last = path.split(".")
    place = stats
    for step in way:
        place = place[step]
    place[last] = value
    return json.dumps(stats).encode()


def test_a_valid_answer_becomes_a_sample_with_the_operators_time() -> None:
    sample = parse(json.dumps(_STATS).encode(), pod="a-1", time=42.0)
    assert (sample.pod, sample.time, sample.instance) == ("a-1", 42.0, "9f2c")
    assert (sample.succeeded, sample.client_errors, sample.server_errors) == (9, 1, 2)
    assert (sample.cancelled, sample.shed) == (3, 4)
    assert sample.loop_seconds == 1.0
    assert (sample.workers_wanted, sample.workers_blocked) == (3, 1)
    assert sample.blocked_at == "app.py:7 slow"
    assert list(sample.latency.counts) == [5, 3, 1]
    assert sample.latency.bounds == (0.01, 0.1)


def test_equal_bounds_are_shared() -> None:
    one, two = (parse(json.dumps(_STATS).encode(), pod=pod, time=42.0) for pod in ("a-1", "a-2"))
    assert one.latency.bounds is two.latency.bounds


def test_idle_seconds_are_unknown_where_a_pod_does_not_report_them() -> None:
    assert parse(json.dumps(_STATS).encode(), pod="a", time=0).idle_seconds is None
    assert parse(_with("idle_seconds", None), pod="a", time=0).idle_seconds is None
    assert parse(_with("idle_seconds", 0), pod="a", time=0).idle_seconds == 0.0
    assert parse(_with("idle_seconds", 312.5), pod="a", time=0).idle_seconds == 312.5
    with pytest.raises(InvalidStatsError, match="idle_seconds"):
        parse(_with("idle_seconds", -1), pod="a", time=0)


def test_worker_limits_are_optional() -> None:
    older = parse(json.dumps(_STATS).encode(), pod="a", time=0)
    assert (older.worker_limit, older.threads) == (0, None), "missing is not zero threads"
    threads = {"limit": 40, "busy": 40, "waiting": 7, "busy_seconds": 90.5, "waiting_seconds": 3}
    found = parse(_with("threads", {"anyio": threads}), pod="a", time=0).threads
    assert found == (ThreadPool(name="anyio", limit=40, busy_seconds=90.5, waiting_seconds=3.0),)
    assert parse(_with("threads", {}), pod="a", time=0).threads == ()
    assert parse(_with("worker_limit", 8), pod="a", time=0).worker_limit == 8


def test_open_websockets_and_streams_are_read_where_the_pod_reports_them() -> None:
    older = parse(json.dumps(_STATS).encode(), pod="a", time=0)
    assert (older.open_websockets, older.open_streams) == (0, 0)
    assert parse(_with("open_websockets", 7), pod="a", time=0).open_websockets == 7
    assert parse(_with("open_streams", 3), pod="a", time=0).open_streams == 3
    with pytest.raises(InvalidStatsError, match="open_websockets"):
        parse(_with("open_websockets", -1), pod="a", time=0)


def test_the_runtime_is_read_where_the_pod_reports_it() -> None:
    assert parse(json.dumps(_STATS).encode(), pod="a", time=0).runtime == PodRuntime()
    reported = {
        **_STATS,
        "loop": "asyncio",
        "http": "h11",
        "runtime": {"version": "0.1.0", "source": "Injected", "python": "3.11.7"},
    }
    expected = PodRuntime(
        version="0.1.0", source="Injected", python="3.11.7", loop="asyncio", http="h11"
    )
    assert parse(json.dumps(reported).encode(), pod="a", time=0).runtime == expected


def test_the_event_loop_is_not_known_before_a_worker_is_ready() -> None:
    starting = {**_STATS, "loop": None, "http": None, "runtime": {"source": "Image"}}
    assert parse(json.dumps(starting).encode(), pod="a", time=0).runtime == PodRuntime(
        source="Image"
    )


def test_a_long_name_of_the_runtime_is_rejected() -> None:
    hostile = {**_STATS, "runtime": {"version": "9" * 65}}
    with pytest.raises(InvalidStatsError, match=r"runtime\.version"):
        parse(json.dumps(hostile).encode(), pod="a", time=0)


def test_unknown_fields_are_ignored() -> None:
    assert parse(_with("novelty", {"a": 1}), pod="a", time=0).instance == "9f2c"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("requests.success", -1, "requests.success"),
        ("requests.success", "9", "requests.success"),
        ("requests.success", True, "requests.success"),
        ("in_flight_seconds", float("nan"), "in_flight_seconds"),
        ("loop_seconds", float("inf"), "loop_seconds"),
        ("loop_seconds", -0.1, "loop_seconds"),
        ("rss_bytes", 10**16, "rss_bytes"),
        ("workers.wanted", 5000, "workers.wanted"),
        ("latency.counts", [1, 2], "one entry more"),
        ("latency.bounds", [0.1, 0.1], "ascend"),
        ("latency.bounds", [0.0, 0.1], "latency.bounds"),
        ("latency.counts", [1, -2, 0], "latency.counts"),
        ("threads", {"anyio": {"limit": -1, "busy_seconds": 0, "waiting_seconds": 0}}, "limit"),
        ("threads", {"": {"limit": 1, "busy_seconds": 0, "waiting_seconds": 0}}, "threads"),
        ("threads", {"anyio": {"limit": 1, "busy_seconds": 0}}, "waiting_seconds"),
        ("version", 2, "version"),
        ("instance", "", "instance"),
    ],
)
def test_an_invalid_field_rejects_the_answer_and_is_named(
    path: str, value: object, message: str
) -> None:
    with pytest.raises(InvalidStatsError, match=message):
        parse(_with(path, value), pod="a", time=0)


def test_times_to_the_first_byte_are_optional_and_checked() -> None:
    ttfb = {"bounds": [0.01, 0.1], "counts": [6, 2, 1], "sum": 0.4}
    sample = parse(_with("ttfb", ttfb), pod="a", time=0)
    assert list(sample.first_byte.counts) == [6, 2, 1]
    assert sample.first_byte.bounds is sample.latency.bounds
    assert parse(_with("ttfb", None), pod="a", time=0).first_byte is NO_HISTOGRAM
    with pytest.raises(InvalidStatsError, match="ttfb"):
        parse(_with("ttfb", ttfb | {"counts": [-1, 2, 1]}), pod="a", time=0)


@pytest.mark.parametrize("body", [b"", b"nope", b"[]", b"{}", b"null", b'{"version": 1}'])
def test_malformed_answers_are_rejected(body: bytes) -> None:
    with pytest.raises(InvalidStatsError):
        parse(body, pod="a", time=0)


def short(**changes: object) -> bytes:
    """An answer in the short form; the changes are of its latency."""
    part = {"first": 1, "counts": [3, 1], "sum": 0.7}
    answer = {
        **_STATS,
        "bounds": [0.01, 0.1, 1.0],
        "latency": part | changes,
        "ttfb": {"first": 0, "counts": [], "sum": 0},
        "loop_lag": part,
    }
    return json.dumps(answer).encode()


def test_the_short_form_leaves_out_zeros_and_shares_the_bounds() -> None:
    sample = parse(short(), pod="a", time=0)
    counts = array("I", (0, 3, 1, 0))
    assert sample.latency == Histogram(bounds=(0.01, 0.1, 1.0), counts=counts, sum=0.7)
    assert list(sample.first_byte.counts) == [0, 0, 0, 0]
    assert sample.first_byte.bounds is sample.latency.bounds
    assert parse(short(), pod="b", time=0).latency.bounds is sample.latency.bounds


def test_the_forms_may_be_mixed() -> None:
    answer = json.loads(short()) | {"ttfb": _HISTOGRAM}
    sample = parse(json.dumps(answer).encode(), pod="a", time=0)
    assert list(sample.first_byte.counts) == [5, 3, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first": 3}, "latency: counts must end with the last bucket"),
        ({"first": -1}, "latency.first: Expected `int` >= 0"),
        ({"first": 1.0}, "latency.first: Expected `int | null`, got `float`"),
        ({"counts": [1, -1]}, "latency.counts[1]: Expected `int` >= 0"),
        ({"counts": [0] * 514}, "latency.counts: Expected `array` of length <= 513"),
        ({"first": None}, "latency: missing required field `bounds`"),
    ],
)
def test_the_short_form_is_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidStatsError, match=f"^{re.escape(message)}$"):
        parse(short(**changes), pod="a", time=0)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([0.1, 0.1], "bounds: bounds must ascend"),
        ([0, 1], "bounds[0]: Expected `float` > 0.0"),
        ([1] * 513, "bounds: Expected `array` of length <= 512"),
        ({}, "bounds: Expected `array`, got `object`"),
    ],
)
def test_shared_bounds_are_checked(bounds: object, message: str) -> None:
    answer = json.loads(short()) | {"bounds": bounds}
    with pytest.raises(InvalidStatsError, match=f"^{re.escape(message)}$"):
        parse(json.dumps(answer).encode(), pod="a", time=0)


def test_the_short_form_needs_bounds() -> None:
    answer = json.loads(short())
    del answer["bounds"]
    with pytest.raises(InvalidStatsError, match=r"^bounds: missing required field$"):
        parse(json.dumps(answer).encode(), pod="a", time=0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"version": 1, "rss_bytes": NaN}', "rss_bytes: JSON is malformed"),
        (b'{"version": 1, "rss_bytes": -Infinity}', "rss_bytes: JSON is malformed"),
        (b'{"version": 1', "answer: Input data was truncated"),
        (b"[]", "answer: Expected `object`, got `array`"),
        (b'{"novelty": ' + b"[" * 60_000, "answer: nested too deeply"),
        (b'{"version": 1, "loop_seconds": 1e999}', "loop_seconds: Number out of range"),
    ],
)
def test_an_answer_that_is_not_json_names_the_field_where_it_can(body: bytes, message: str) -> None:
    with pytest.raises(InvalidStatsError, match=f"^{re.escape(message)}"):
        parse(body, pod="a", time=0)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(sorted(_STATS)),
)
def test_any_value_in_any_field_is_rejected_or_read(value: bytes, field: str) -> None:
    stats = json.dumps({key: item for key, item in _STATS.items() if key != field})
    body = stats[:-1].encode() + b', "%b": %b}' % (field.encode(), value)
    with contextlib.suppress(InvalidStatsError):
        assert parse(body, pod="a", time=0).pod == "a"
