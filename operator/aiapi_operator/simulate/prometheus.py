"""Reads traffic from Prometheus with range queries, and converts it to a trace.

A query has at most ``MAX_POINTS`` points, because Prometheus rejects more than 11,000. A missing
sample means unknown, never no traffic: a gap is interpolated linearly and reported in a note, and
missing samples at either end are left out.

A rate is a mean, but requests do not arrive evenly: the requests of each second are drawn from a
Poisson distribution around the rate, with a fixed seed.
"""

import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from math import isfinite
from pathlib import Path
from typing import IO, Any

import numpy as np

from aiapi_operator.simulate.traces import MAX_PER_SECOND, Floats, Trace, TraceError

STEP = 15.0
"""Default seconds between two samples: the usual scrape interval of Prometheus."""
MAX_POINTS = 10_000
MAX_SAMPLES = 500_000
"""Maximum samples in total: 86 days at a step of 15 s."""
MIN_COVERAGE = 0.5
"""Minimum fraction of the time that must have samples."""
MAX_BYTES = 64 * 2**20
"""Maximum size of a response."""
DEADLINE = 60.0
_PRESENCE_POINTS = 100
_PIECE = 1 << 16
_SEED = 505


class PrometheusError(TraceError):
    """The traffic cannot be read; the message has the reason and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests per second at evenly spaced times; NaN where there is no sample."""

    name: str
    start: float
    """Unix time of the first value."""
    step: float
    values: Floats
    warnings: tuple[str, ...] = ()


def fetch_rates(  # noqa: PLR0913 - the parameters of a range query
    url: str,
    query: str,
    last: float,
    *,
    end: float | None = None,
    step: float | None = None,
    token_file: Path | None = None,
    ca_file: Path | None = None,
    deadline: float = DEADLINE,
) -> Rates:
    """The values of ``query`` over the ``last`` seconds before ``end``, by default now.

    The query must return one series, in requests per second, such as
    ``sum(rate(http_requests_total{job="assistant"}[1m]))``.
    """
    step = _step(last, step)
    server = _server(url, token_file, ca_file, deadline)
    last_at = step * ((time.time() if end is None else end) // step)
    count = round(last / step) + 1
    values = np.full(count, np.nan)
    first_at = last_at - (count - 1) * step
    warnings: dict[str, None] = {}
    for begin in range(0, count, MAX_POINTS):
        size = min(MAX_POINTS, count - begin)
        at = first_at + begin * step
        answer = server.range(query, at, at + (size - 1) * step, step)
        warnings |= dict.fromkeys(map(str, answer.get("warnings") or ()))
        _fill(values, answer.get("data"), first=first_at, step=step, query=query)
    if np.isnan(values).all():
        raise PrometheusError(
            f"{server.url}: {query!r} has no samples in the last {last:.0f} s. Check the metric's"
            " name and labels, or set a longer --last"
        )
    return Rates(name=query, start=first_at, step=step, values=values, warnings=tuple(warnings))


def fetch_presence(  # noqa: PLR0913 - the parameters of a range query
    url: str,
    selector: str,
    last: float,
    *,
    end: float | None = None,
    token_file: Path | None = None,
    ca_file: Path | None = None,
    deadline: float = DEADLINE,
) -> dict[str, float]:
    """The metrics that ``selector`` matches, each with the share of the time that has samples.

    Only a few points are read, and only names, however many series there are.
    """
    step = max(60.0, last // _PRESENCE_POINTS)
    at = time.time() if end is None else end
    server = _server(url, token_file, ca_file, deadline)
    answer = server.range(f"count by (__name__) ({selector})", at - last, at, step)
    series = (answer.get("data") or {}).get("result") or []
    points = last // step + 1
    return {
        str(each["metric"]["__name__"]): min(1.0, len(each.get("values") or ()) / points)
        for each in series
    }


def as_trace(rates: Rates, *, seed: int = _SEED) -> Trace:
    """A trace with the requests of each second. Each value applies to the step that ends at it."""
    known = np.flatnonzero(~np.isnan(rates.values))
    first, last = int(known[0]), int(known[-1])
    values = rates.values[first : last + 1]
    missing = np.isnan(values)
    if (share := 1 - missing.mean()) < MIN_COVERAGE:
        raise PrometheusError(
            f"{rates.name!r} has samples for only {share:.0%} of the time, from"
            f" {_clock(rates.start + first * rates.step)} until"
            f" {_clock(rates.start + last * rates.step)}: set a --last that has data"
        )
    filled = values.copy()
    filled[missing] = np.interp(np.flatnonzero(missing), np.flatnonzero(~missing), values[~missing])
    seconds = np.arange(round(len(filled) * rates.step))
    held = filled[np.minimum((seconds / rates.step).astype(np.int64), len(filled) - 1)]
    counts = np.random.default_rng(seed).poisson(held).astype(np.float64)
    if counts.sum() <= 0:
        raise PrometheusError(f"{rates.name!r} is always zero: there is no traffic to simulate")
    return Trace(
        name=rates.name,
        counts=counts,
        notes=_notes(rates, first, last, missing),
        start_time=rates.start + (first - 1) * rates.step,
    )


def _notes(
    rates: Rates, first: int, last: int, missing: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[str, ...]:
    notes = [f"Prometheus warning: {warning}" for warning in rates.warnings]
    if first or last < len(rates.values) - 1:
        hours = (last + 1 - first) * rates.step / 3600
        notes.append(
            f"samples cover {hours:.2f} h of {len(rates.values) * rates.step / 3600:.2f} h,"
            f" starting at {_clock(rates.start + first * rates.step)}"
        )
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing)).astype(np.int8)) == 1)
    if len(edges):
        began = _clock(rates.start + (first + int(edges[0])) * rates.step)
        gaps = "1 gap" if len(edges) == 1 else f"{len(edges)} gaps"
        notes.append(
            f"{gaps} without samples, {missing.sum() * rates.step:.0f} s in total, the first at"
            f" {began}: interpolated linearly"
        )
    return tuple(notes)


def _server(url: str, token_file: Path | None, ca_file: Path | None, deadline: float) -> "_Server":
    return _Server(
        url=_base(url),
        token=_token(token_file),
        context=_context(ca_file),
        until=time.monotonic() + deadline,
        deadline=deadline,
    )


def _step(last: float, step: float | None) -> float:
    if not isfinite(last) or last < 60:
        raise PrometheusError(f"--last must be at least 1m, not {last:g} s")
    step = STEP if step is None else step
    if not 1 <= step <= 300 or step != round(step):
        raise PrometheusError(f"--step must be 1 s to 5m in whole seconds, not {step:g} s")
    if last / step > MAX_SAMPLES:
        raise PrometheusError(
            f"{last / 86_400:.0f} days in steps of {step:g} s are more than"
            f" {MAX_SAMPLES:,} samples: set a shorter --last or a longer --step"
        )
    return step


def _base(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PrometheusError(f"{url!r} is not a URL; use a form such as http://localhost:9090")
    if parts.username or parts.password:
        raise PrometheusError("the URL must not contain credentials: use --token-file")
    return url.rstrip("/")


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PrometheusError(f"{path}: the token cannot be read: {error}") from error
    if not token or not token.isascii() or not token.isprintable():
        raise PrometheusError(f"{path}: contains no valid bearer token")
    return token


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise PrometheusError(f"{ca_file}: is not a file of CA certificates: {error}") from error


def _opener(context: ssl.SSLContext) -> urllib.request.OpenerDirector:
    """An opener that follows no redirects, which could send the token to another host."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A Prometheus server, and the deadline of its responses."""

    url: str
    token: str
    context: ssl.SSLContext
    until: float
    deadline: float

    def range(self, query: str, start: float, end: float, step: float) -> Mapping[str, Any]:
        """Run one range query; returns the JSON of the response."""
        fields = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        request = urllib.request.Request(  # noqa: S310 - http or https, checked above
            f"{self.url}/api/v1/query_range",
            data=urllib.parse.urlencode(fields).encode(),
            headers={"Accept": "application/json"},
        )
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        return self._parse(self._send(request))

    def _send(self, request: urllib.request.Request) -> bytes:
        opener = _opener(self.context)
        try:
            with opener.open(request, timeout=self._left()) as answer:
                return self._read(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.code, error.read(_PIECE)) from error
        except TimeoutError as error:
            raise self._late() from error
        except (urllib.error.URLError, HTTPException, OSError) as error:
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise self._late() from error
            reason = getattr(error, "reason", None) or repr(error)
            raise PrometheusError(f"{self.url}: cannot be reached: {reason}") from error

    def _read(self, answer: IO[bytes]) -> bytes:
        body = bytearray()
        while piece := answer.read(_PIECE):
            body += piece
            if len(body) > MAX_BYTES:
                raise PrometheusError(
                    f"{self.url}: the response is over {MAX_BYTES // 2**20} MiB: wrap the query in"
                    " sum(...)"
                )
            self._left()
        return bytes(body)

    def _left(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise self._late()
        return left

    def _late(self) -> PrometheusError:
        return PrometheusError(
            f"{self.url}: no complete response within {self.deadline:g} s: set a shorter --last or"
            " a longer --step"
        )

    def _refused(self, code: int, body: bytes) -> PrometheusError:
        try:
            error_text = json.loads(body).get("error", "")
        except (ValueError, AttributeError):
            error_text = ""
        if error_text:
            return PrometheusError(f"{self.url}: rejected the query: {str(error_text)[:300]}")
        if code in (401, 403):
            return PrometheusError(
                f"{self.url}: responded {code}: set a --token-file with read access"
            )
        if 300 <= code < 400:
            return PrometheusError(f"{self.url}: redirects ({code}): use the URL it redirects to")
        return PrometheusError(
            f"{self.url}: responded {code} to /api/v1/query_range: use the URL of a Prometheus,"
            " such as http://localhost:9090"
        )

    def _parse(self, body: bytes) -> Mapping[str, Any]:
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise self._no_prometheus() from error
        if not isinstance(answer, dict) or "status" not in answer:
            raise self._no_prometheus()
        if answer["status"] != "success":
            raise PrometheusError(f"{self.url}: rejected the query: {answer.get('error', answer)}")
        return answer

    def _no_prometheus(self) -> PrometheusError:
        return PrometheusError(
            f"{self.url}: is not a Prometheus; use a URL such as http://localhost:9090"
        )


def _fill(values: Floats, data: Any, *, first: float, step: float, query: str) -> None:
    """Copy the single series of a response into ``values``."""
    if not isinstance(data, dict) or data.get("resultType") != "matrix":
        raise PrometheusError(f"{query!r} does not return a range of samples")
    series = data.get("result") or []
    if len(series) > 1:
        labels = ", ".join(str(each.get("metric")) for each in series[:2])
        raise PrometheusError(
            f"{query!r} returns {len(series)} series ({labels[:200]}, ...) instead of one: use"
            f" sum({query})"
        )
    if series and "histograms" in series[0]:
        raise PrometheusError(
            f"{query!r} returns native histograms: use sum(histogram_count(rate(...[1m])))"
        )
    for at, text in series[0].get("values", ()) if series else ():
        values[round((float(at) - first) / step)] = _number(float(at), text)


def _number(at: float, text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise PrometheusError(
            f"the query is {text} at {_clock(at)}: avoid division by zero; use"
            " sum(rate(..._total[1m]))"
        )
    if value < 0:
        raise PrometheusError(
            f"the query is negative ({text}) at {_clock(at)}: use rate(), not deriv()"
        )
    if value > MAX_PER_SECOND:
        raise PrometheusError(
            f"the query is {value:g} at {_clock(at)}, too high for requests per second: wrap the"
            " counter in rate(...[1m])"
        )
    return value


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
