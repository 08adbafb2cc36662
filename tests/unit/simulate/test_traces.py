"""Reading, validating and scaling traces."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from aiapi_operator.simulate import trace_scaling, traces
from aiapi_operator.simulate.compare import check_request_rate
from aiapi_operator.simulate.traces import Trace, TraceError


def lines(text: str) -> Trace:
    return traces.parse_trace("t.csv", text.splitlines(keepends=True))


def test_timestamps_are_relative_to_the_first() -> None:
    trace = lines("arrival_s,tokens\n100.0,5\n100.5,6\n103.2,7\n")
    assert trace.counts.tolist() == [2, 0, 0, 1]
    assert trace.timestamps is not None
    assert trace.timestamps == pytest.approx([0.0, 0.5, 3.2])


def test_counts_are_kept_and_extra_columns_are_ignored() -> None:
    trace = lines("second,requests_per_second\n0,3\n1,0\n2,1.5\n")
    assert trace.counts.tolist() == [3, 0, 1.5]
    assert trace.timestamps is None


def test_iso_timestamps_are_requests_and_give_the_start() -> None:
    trace = lines(
        "method,timestamp\nGET,2026-03-02T08:15:00Z\nGET,2026-03-02T09:15:00.500+01:00\n"
        "GET,2026-03-02 08:15:03\n"
    )
    assert trace.counts.tolist() == [2, 0, 0, 1]
    assert trace.timestamps is not None
    assert trace.timestamps == pytest.approx([0.0, 0.5, 3.0])
    assert trace.start_time == 1772439300


def test_a_row_a_minute_is_spread_over_its_seconds() -> None:
    rows = "".join(f"2026-03-02T08:{minute:02d}:00Z,{600 * minute}\n" for minute in range(1, 11))
    trace = lines(f"timestamp,requests_per_minute\n{rows}")
    assert trace.seconds == 600
    sums = trace.counts.reshape(10, 60).sum(axis=1)
    assert sums == pytest.approx([600 * minute for minute in range(1, 11)], rel=0.15)
    assert trace.counts[-60:].std() > 1
    assert trace.start_time == 1772438460
    assert trace.notes == (
        "one row every 60 s: the requests of each second are drawn around its mean",
    )
    assert lines(f"timestamp,requests_per_minute\n{rows}").counts.tolist() == trace.counts.tolist()


def test_a_gzip_file_gives_the_same_trace(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text("\ufeffrequests_per_second\n1\n2\n", "utf-8")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert (
        traces.read_trace(plain).counts.tolist()
        == traces.read_trace(packed).counts.tolist()
        == [1, 2]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file or its first line is empty"),
        ("arrival_s\n", "has a header but no rows"),
        ("requests_per_second\n", "has a header but no rows"),
        ("time,value\n1,2\n", "line 1: needs a header with a column arrival_s"),
        ("arrival_s,requests_per_second\n1,2\n", "line 1: has both"),
        ("arrival_s\n1\n2\n1.5\n", "line 4: 1.5 is before 2"),
        ("arrival_s\n1\nnan\n", "line 3: arrival_s is nan"),
        ("arrival_s\ninf\n", "line 2: arrival_s is inf"),
        ("arrival_s\n-1\n", "line 2: arrival_s is negative"),
        ("arrival_s\n1\n\n2\n", "line 3: arrival_s is missing"),
        ("arrival_s\n1\n1600000000\n", "line 3: jumps by"),
        ("requests_per_second\n1\n-2\n", "line 3: requests_per_second is negative"),
        ("requests_per_second\n1\n1e12\n", "line 3: 1e+12 requests in a second are not plausible"),
        ("requests_per_second\n1\nmany\n", "line 3: 'many' is not a number"),
        ("requests_per_second\n0\n0\n", "the trace has no requests"),
        ("requests_per_second\n1,5\n", "line 2: has 2 cells, the header has 1"),
        ("second,requests_per_second\n1,5\n2\n", "line 3: has 1 cells, the header has 2"),
        ("requests_per_second\n1_000\n", "line 2: '1_000' is not a number"),
        ("requests_per_second\n1e308\n", "line 2: 1e+308 requests in a second are not plausible"),
        ("arrival_s\n1e308\n", "line 2: 1e+308 s is beyond the year 2100"),
        ("arrival_s\n32503680000\n", "line 2: .* not milliseconds"),
        ("arrival_s\n0\n1\n1600000000000\n", "line 4: .* not milliseconds"),
        ("arrival_s,arrival_s\n1,1\n", "has both arrival_s and arrival_s"),
        ("arrival_s;tokens\n1;5\n", "needs a header with a column .*; has: arrival_s;tokens"),
        ("1.0\n2.0\n", "line 1: needs a header"),
        ('arrival_s\n"1\n2\n', "line 3: '1.*2' is not a number"),
        ("timestamp\n2026-03-02T08:15:00Z\nMonday\n", "line 3: timestamp 'Monday' is not a time"),
        ("timestamp\n2026-03-02T08:15:01Z\n2026-03-02T08:15:00Z\n", "sort the file by timestamp"),
        (
            "timestamp,requests_per_minute\n2026-03-02T08:15:00Z,1\n2026-03-02T08:17:00Z,1\n",
            "line 3: timestamp is 120 s after the first row, not 60 s: add the missing rows",
        ),
        ("requests_per_minute\n1e9\n", "line 2: 1e+09 requests in a minute are not plausible"),
        ("requests_per_minute,requests_per_second\n1,1\n", "has both"),
        ("\narrival_s\n1\n", "the file or its first line is empty"),
    ],
)
def test_an_invalid_trace_is_rejected_with_its_line(text: str, message: str) -> None:
    with pytest.raises(TraceError, match=message.replace("+", r"\+")):
        lines(text)


def test_any_line_ends_and_trailing_empty_lines_are_accepted() -> None:
    assert lines("requests_per_second\r\n1\r\n2\r\n\r\n\n").counts.tolist() == [1, 2]


def test_an_endless_line_is_rejected_early(tmp_path: Path) -> None:
    path = tmp_path / "endless.csv"
    path.write_bytes(b"requests_per_second\n1\n" + b"1" * (traces.MAX_LINE_BYTES + 1))
    with pytest.raises(TraceError, match=r"endless.csv line 3: is longer than 1,000,000 bytes"):
        traces.read_trace(path)


@pytest.mark.slow
def test_a_file_is_streamed_whatever_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "MAX_TIMESTAMPS", 1000)
    path = tmp_path / "large.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as out:
        out.write("arrival_s\n")
        out.writelines(f"{index / 100:.6f}\n" for index in range(150_000))
    # From Python 3.12 on, gzip's buffers take 0.25 MB for a file of any size.
    unpacked = 1_500_000
    tracemalloc.start()
    trace = traces.read_trace(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (trace.requests, trace.seconds) == (150_000, 1500)
    assert peak < unpacked / 4


def test_a_rate_that_does_not_fit_in_memory_is_rejected() -> None:
    with pytest.raises(TraceError, match=r"30,000 requests/s .* set a lower --peak-workers"):
        check_request_rate(Trace(name="t", counts=np.full(60, 30_000.0)))


def test_unreadable_files_are_reported(tmp_path: Path) -> None:
    torn, binary = tmp_path / "torn.csv.gz", tmp_path / "binary.csv"
    torn.write_bytes(gzip.compress(b"requests_per_second\n" + b"1\n" * 1000)[:-20])
    binary.write_bytes(b"requests_per_second\n\xff\xfe\n")
    for path, message in (
        (torn, r"torn.csv.gz after line \d+: cannot be read"),
        (binary, "binary.csv line 2: is not UTF-8 text"),
        (tmp_path / "missing.csv", "missing.csv: cannot be read"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(TraceError, match=message):
            traces.read_trace(path)


def test_a_long_file_keeps_counts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MAX_TIMESTAMPS", 10)
    trace = lines("arrival_s\n" + "".join(f"{i / 10}\n" for i in range(50)))
    assert trace.timestamps is None
    assert trace.counts.tolist() == [10] * 5


def test_a_gap_in_the_recording_is_noted_but_sparse_requests_are_not_gaps() -> None:
    busy = lines("requests_per_second\n" + "20\n" * 100 + "0\n" * 30 + "20\n" * 100)
    rare = lines("requests_per_second\n" + ("1\n" + "0\n" * 30) * 20)
    assert "1 gap without requests, 30 s in total, the first at second 100" in busy.notes[0]
    assert rare.notes == ()


def test_scaling_down_reaches_the_peak_and_depends_on_the_seed() -> None:
    trace = Trace(name="t", counts=np.full(600, 100.0))
    one, same, other = (trace_scaling.scale_to_peak(trace, 10, seed=seed) for seed in (1, 1, 2))
    assert one.counts.mean() == pytest.approx(10, rel=0.05)
    assert one.counts.tolist() == same.counts.tolist() != other.counts.tolist()


def test_scaling_down_keeps_exact_timestamps() -> None:
    timestamps = np.sort(np.random.default_rng(1).uniform(0, 600, 6000))
    counts = np.bincount(timestamps.astype(int), minlength=600).astype(float)
    thin = trace_scaling.scale_to_peak(
        Trace(name="t", counts=counts, timestamps=timestamps), 2, seed=1
    )
    assert thin.timestamps is not None
    assert set(thin.timestamps) < set(timestamps)
    assert thin.counts.sum() == len(thin.timestamps)


def test_scaling_up_does_not_multiply_the_noise() -> None:
    rng = np.random.default_rng(1)
    trace = Trace(name="t", counts=rng.poisson(10, 3600).astype(float))
    dense = trace_scaling.scale_to_peak(trace, 1000, seed=1)
    assert dense.peak_minute == pytest.approx(1000, rel=0.02)
    minutes = dense.counts.reshape(60, 60)
    # Independent clients: the variance within a minute is about the mean, not 100 times it.
    assert (minutes.var(axis=1) / minutes.mean(axis=1)).mean() < 3
    assert dense.counts.sum() == pytest.approx(trace.counts.sum() * 1000 / 10, rel=0.2)


def test_the_ends_of_a_scaled_trace_are_as_busy_as_its_middle() -> None:
    dense = trace_scaling.scale_to_peak(Trace(name="t", counts=np.full(600, 5.0)), 500, seed=1)
    for part in (dense.counts[:30], dense.counts[-30:]):
        assert part.mean() == pytest.approx(dense.counts.mean(), rel=0.05)
