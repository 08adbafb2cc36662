"""Reading traffic from a real Prometheus with generated data."""

import http.server
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from prometheus_support.recorded import free_port, recorded

from aiapi_operator.cli import main
from aiapi_operator.simulate.prometheus import PrometheusError, as_trace, fetch_rates

# A multiple of all steps, in the past.
END = 1_700_006_400
SECONDS = 26 * 3600
QUERY = "sum(rate(requests_total[1m]))"


def rate(second: int) -> float:
    """Requests per second of the counter: a slow wave."""
    return 50 + 40 * math.sin(2 * math.pi * second / 7200)


def open_metrics() -> str:
    """A counter every 15 s in two series with a gap of ten minutes, and a gauge named odd."""
    lines = ["# TYPE requests counter"]
    total = 0.0
    for second in range(0, SECONDS + 1, 15):
        total += 15 * rate(second)
        at = END - SECONDS + second
        if not 40_000 < second <= 40_600:
            lines.append(f'requests_total{{pod="a"}} {total} {at}')
            lines.append(f'requests_total{{pod="b"}} {total} {at}')
    lines.append("# TYPE odd gauge")
    odd = [f"odd {second - 1800} {END - 3600 + second}" for second in range(0, 3600, 15)]
    return "\n".join([*lines, *odd, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with recorded(tmp_path_factory.mktemp("prometheus"), open_metrics()) as url:
        yield url


def test_a_long_range_is_queried_in_pieces_and_matches_the_counter(prometheus: str) -> None:
    rates = fetch_rates(prometheus, QUERY, 86_400, end=END, step=5)
    assert len(rates.values) == 86_400 / 5 + 1  # more than one query may return
    assert np.isnan(rates.values).sum() == pytest.approx(600 / 5, abs=60 / 5)
    seconds = np.arange(len(rates.values)) * 5 + SECONDS - 86_400
    expected = np.array([2 * rate(second - 30) for second in seconds.tolist()])
    known = ~np.isnan(rates.values)
    wrong = np.abs(rates.values[known] - expected[known]) > 3
    assert wrong.sum() < 24  # Prometheus extrapolates next to the gap
    trace = as_trace(rates)
    assert trace.seconds == len(rates.values) * 5
    assert trace.requests == pytest.approx(expected.sum() * 5, rel=0.01)
    assert trace.counts[60:].std() > 40
    assert len(trace.notes) == 1
    assert "1 gap without samples" in trace.notes[0]
    assert "interpolated" in trace.notes[0]


def test_the_command_simulates_it(prometheus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: float(END))
    result = CliRunner().invoke(
        main,
        [
            *("simulate", "--prometheus", prometheus, "--query", QUERY, "--last", "10m"),
            *("--policy", "static"),
        ],
    )
    assert result.exit_code == 0, result.output
    assert QUERY in result.output
    assert "static" in result.output


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("rate(requests_total[1m])", r"returns 2 series .*use sum\(rate\(requests_total\[1m\]\)\)"),
        ("sum(rate(missing_total[1m]))", "has no samples in the last 3600 s"),
        ("sum(rate(", "rejected the query: .*parse error"),
        ("odd", r"is negative \(-1800\) at 2023-11-14T23:00:00Z"),
        ("sum(requests_total)", "too high for requests per second"),
        ("vector(0) / 0", "NaN at .*division by zero"),
        ("'text'", "rejected the query"),
    ],
)
def test_queries_that_are_not_rates_are_rejected(prometheus: str, query: str, message: str) -> None:
    with pytest.raises(PrometheusError, match=message):
        fetch_rates(prometheus, query, 3600, end=END)


def test_a_trace_starts_with_the_first_sample(prometheus: str) -> None:
    trace = as_trace(fetch_rates(prometheus, QUERY, 40 * 3600, end=END))
    assert trace.seconds == pytest.approx(SECONDS, abs=60)
    assert trace.notes[0].startswith("samples cover 2")


def test_data_with_mostly_missing_samples_are_rejected(prometheus: str) -> None:
    query = "sum(rate(requests_total[1m])) and on() (hour() % 3 == 0)"
    rates = fetch_rates(prometheus, query, 86_400, end=END)
    with pytest.raises(PrometheusError, match=r"for only 3.% of the time"):
        as_trace(rates)


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def answer_with() -> Iterator[Callable[[Answer], str]]:
    """A server with scripted responses, for what a real Prometheus does not do on demand."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.body = self.rfile.read(int(self.headers["Content-Length"]))
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(
    code: int, body: bytes = b"", **headers: str
) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def send(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


@pytest.mark.parametrize(
    ("code", "body", "message"),
    [
        (404, b"not found", "responded 404 .*use the URL of a Prometheus"),
        (200, b"<html>", "is not a Prometheus"),
        (200, b"[]", "is not a Prometheus"),
        (200, b'{"status":"error","error":"no"}', "rejected the query: no"),
        (
            200,
            b'{"status":"success","data":{"resultType":"vector"}}',
            "not return a range of samples",
        ),
        (401, b"", "responded 401: set a --token-file"),
        (503, b'{"status":"error","error":"not ready"}', "not ready"),
        (302, b"", r"redirects \(302\)"),
    ],
)
def test_each_wrong_server_has_its_own_message(
    answer_with: Callable[[Answer], str], code: int, body: bytes, message: str
) -> None:
    url = answer_with(reply(code, body, Location="http://elsewhere.invalid/"))
    with pytest.raises(PrometheusError, match=message):
        fetch_rates(url, QUERY, 3600, end=END)


def test_the_token_is_sent_and_warnings_are_noted(
    answer_with: Callable[[Answer], str], tmp_path: Path
) -> None:
    seen: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        values = [[END - 60 + 15 * index, "3"] for index in range(5)]
        data = {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}
        body = {"status": "success", "data": data, "warnings": ["a store is away"]}
        reply(200, json.dumps(body).encode())(handler)

    token = tmp_path / "token"
    token.write_text("secret\n")
    trace = as_trace(fetch_rates(answer_with(answer), QUERY, 60, end=END, token_file=token))
    assert seen == ["Bearer secret"]
    assert trace.notes == ("Prometheus warning: a store is away",)


def test_a_slow_server_times_out(
    answer_with: Callable[[Answer], str],
) -> None:
    stop = threading.Event()
    url = answer_with(lambda _: stop.wait(60) and None)
    with pytest.raises(PrometheusError, match=r"no complete response within 0\.2 s"):
        fetch_rates(url, QUERY, 3600, end=END, deadline=0.2)
    stop.set()


def test_an_unreachable_server_and_bad_arguments_are_explained(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PrometheusError, match=r"cannot be reached: .*refused"):
        fetch_rates(url, QUERY, 3600)
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for changes, message in (
        ({"url": "localhost:9090"}, "is not a URL"),
        ({"url": "file:///etc/passwd"}, "is not a URL"),
        ({"url": "http://me:pw@host"}, "use --token-file"),
        ({"last": 5}, "at least 1m"),
        ({"step": 0.5}, "whole seconds"),
        ({"last": 1e9}, "shorter --last"),
        ({"token_file": tmp_path / "none"}, "cannot be read"),
        ({"token_file": empty}, "no valid bearer token"),
        ({"ca_file": empty}, "not a file of CA certificates"),
    ):
        with pytest.raises(PrometheusError, match=message):
            fetch_rates(**{"url": url, "query": QUERY, "last": 3600, **changes})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "set either --trace FILE, or --prometheus URL"),
        (["--prometheus", "http://x"], "needs --query"),
        (
            ["--prometheus", "http://x", "--query", "q", "--last", "long"],
            "'long' is not a duration",
        ),
        (["--prometheus", "x", "--query", "q"], "is not a URL"),
    ],
)
def test_the_command_reports_missing_options(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["simulate", *arguments])
    assert result.exit_code == 2
    assert message in result.output
