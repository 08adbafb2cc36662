"""The simulated service: the cost of a request, its upstream, its clients, and its pods."""

from itertools import pairwise
from math import exp, fsum, log
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import numpy as np
import yaml
from pydantic import Field, ValidationError, model_validator

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.api.model import Model
from aiapi_operator.api.scalars import Duration, PositiveDuration
from aiapi_operator.simulate.traces import Floats

MAX_STREAM = 10.0
"""The longest stream, relative to the mean."""
_P95 = NormalDist().inv_cdf(0.95)


class LoopTimeSpec(Model):
    """Event-loop time per request, gamma distributed."""

    mean: PositiveDuration = "20ms"
    """Mean loop time per request."""
    variation: Annotated[float, Field(ge=0.05, le=5)] = 1.0
    """Standard deviation divided by the mean; 1 is an exponential distribution."""


class UpstreamModelSpec(Model):
    """Upstream latency: lognormal, or measured quantiles."""

    median: PositiveDuration = "250ms"
    """Median latency."""
    p95: PositiveDuration = "520ms"
    """95th percentile of the latency."""
    quantiles: Annotated[tuple[PositiveDuration, ...], Field(max_length=1001)] = ()
    """Replaces median and p95: latencies at even steps from the fastest to the slowest call.
    With 1s, 2s, 4s half of the calls take 1 to 2 s, and half of them 2 to 4 s."""
    concurrency: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Calls that the upstream processes concurrently; further calls queue. 0 is no limit."""

    @model_validator(mode="after")
    def _in_order(self) -> "UpstreamModelSpec":
        steps = [parse_duration(step) for step in self.quantiles]
        if len(steps) == 1 or steps != sorted(steps):
            raise ValueError("upstream.quantiles must be two or more values in ascending order")
        if parse_duration(self.p95) < parse_duration(self.median):
            raise ValueError("upstream.p95 must not be below upstream.median")
        return self


class StreamSpec(Model):
    """Time from the first byte of a response to its end, gamma distributed. The loop time of a
    streamed response is part of the loop time of the request, before the first byte."""

    mean: Duration = "0s"
    """Mean time; 0s for responses in one piece. Streams take up to ten times the mean. The limit
    and the faults of the upstream do not apply to this time."""
    variation: Annotated[float, Field(ge=0.05, le=5)] = 0.5
    """Standard deviation divided by the mean."""


class RetrySpec(Model):
    """Client retries of requests that failed, were rejected, or missed the deadline."""

    most: Annotated[int, Field(ge=0, le=10)] = 2
    """Maximum retries per request; 0 disables retries."""
    backoff: PositiveDuration = "500ms"
    """Wait before the first retry; it doubles each time, less up to a quarter at random."""
    longest: PositiveDuration = "8s"
    """Maximum wait."""
    budget: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Maximum retries of all clients, as a fraction of first attempts; 0 is no limit."""


class ClientSpec(Model):
    """Clients, their keep-alive connections, and their retries."""

    period: PositiveDuration = "10s"
    """Time between two requests on one connection in the busiest minute."""
    lifetime: PositiveDuration = "60s"
    """Mean time until a connection is replaced by a new one, to a random pod."""
    deadline: PositiveDuration = "10s"
    """Client timeout, for streams until their first byte. The service does not notice it, and does
    the work anyway."""
    retries: RetrySpec = RetrySpec()
    """Retries of failed requests."""


class PodTimings(Model):
    """Start times and the concurrency limit of pods."""

    start: PositiveDuration = "8s"
    """Time from creating a pod until it is ready; varies by up to 20 %."""
    worker_start: Duration = "1s"
    """Time from adding a worker to a running pod until it serves."""
    in_flight: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Maximum requests in flight per worker; further requests are rejected. 0 is no limit."""


class ServiceModel(Model):
    """A service, its upstream, its clients and its pods."""

    loop: LoopTimeSpec = LoopTimeSpec()
    """Event-loop time per request."""
    upstream: UpstreamModelSpec = UpstreamModelSpec()
    """Upstream latency."""
    stream: StreamSpec = StreamSpec()
    """Duration of streamed responses."""
    clients: ClientSpec = ClientSpec()
    """Clients."""
    pods: PodTimings = PodTimings()
    """Pods."""

    @property
    def demand(self) -> float:
        """c: loop time per request, in seconds."""
        return parse_duration(self.loop.mean)

    @property
    def stream_mean(self) -> float:
        """Mean time from the first byte to the end, in seconds."""
        return parse_duration(self.stream.mean)

    @property
    def longest_stream(self) -> float:
        """The longest time from the first byte to the end, in seconds."""
        return MAX_STREAM * self.stream_mean

    @property
    def upstream_sigma(self) -> float:
        """Sigma of the lognormal distribution."""
        ratio = parse_duration(self.upstream.p95) / parse_duration(self.upstream.median)
        return log(ratio) / _P95

    @property
    def upstream_mean(self) -> float:
        """Mean latency of the upstream, in seconds."""
        steps = [parse_duration(step) for step in self.upstream.quantiles]
        if steps:
            return fsum(a + b for a, b in pairwise(steps)) / 2 / (len(steps) - 1)
        return parse_duration(self.upstream.median) * exp(self.upstream_sigma**2 / 2)

    def draw_loop(self, rng: np.random.Generator, size: int) -> Floats:
        """Random loop times, in seconds."""
        shape = self.loop.variation**-2
        return rng.gamma(shape, self.demand / shape, size)

    def draw_upstream(self, rng: np.random.Generator, size: int) -> Floats:
        """Random upstream latencies, in seconds."""
        steps = [parse_duration(step) for step in self.upstream.quantiles]
        if steps:
            return np.interp(rng.random(size), np.linspace(0, 1, len(steps)), steps)
        median = parse_duration(self.upstream.median)
        drawn: Floats = median * np.exp(self.upstream_sigma * rng.standard_normal(size))
        return drawn

    def draw_stream(self, rng: np.random.Generator, size: int) -> Floats | None:
        """Random times from the first byte to the end, in seconds; None without streams."""
        if self.stream_mean == 0:
            return None
        shape = self.stream.variation**-2
        return np.minimum(rng.gamma(shape, self.stream_mean / shape, size), self.longest_stream)


class Scenario(Model):
    """A ``--service`` file: the service model, and the spec of the AIApi."""

    service: ServiceModel = ServiceModel()
    """The service."""
    spec: AIApiSpec = AIApiSpec()
    """``spec`` of the AIApi: objective, bounds, scaling, cost."""


class ScenarioError(ValueError):
    """The file is not a valid scenario."""


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from a YAML file."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
        return Scenario.model_validate({} if content is None else content)
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: is not YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()
        )
        raise ScenarioError(f"{path}: {problems}") from error
