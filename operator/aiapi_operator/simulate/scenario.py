"""The service that is simulated: what a request costs and waits for, and how its pods behave."""

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

_P95 = NormalDist().inv_cdf(0.95)


class LoopTimeSpec(Model):
    """Event-loop time of a request: gamma distributed."""

    mean: PositiveDuration = "20ms"
    """Loop seconds a request costs on average."""
    variation: Annotated[float, Field(ge=0.05, le=5)] = 1.0
    """Standard deviation over mean; 1 is an exponential distribution."""


class UpstreamSpec(Model):
    """What a request waits for beside the loop: lognormal, or as it was measured."""

    median: PositiveDuration = "250ms"
    """Half of the calls are answered within this."""
    p95: PositiveDuration = "520ms"
    """19 of 20 are."""
    quantiles: Annotated[tuple[PositiveDuration, ...], Field(max_length=1001)] = ()
    """In place of median and p95: latencies at even steps from the fastest to the slowest call.
    With 1s, 2s, 4s half of the calls take 1 to 2 s, and half of them 2 to 4 s."""
    concurrency: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Calls that the upstream works on at once, the rest queue there; 0 is no limit."""

    @model_validator(mode="after")
    def _in_order(self) -> "UpstreamSpec":
        steps = [parse_duration(step) for step in self.quantiles]
        if len(steps) == 1 or steps != sorted(steps):
            raise ValueError("upstream.quantiles must be two or more that do not fall")
        if parse_duration(self.p95) < parse_duration(self.median):
            raise ValueError("upstream.p95 must not be below upstream.median")
        return self


class RetrySpec(Model):
    """What callers do about a request that failed, was refused or took too long."""

    most: Annotated[int, Field(ge=0, le=10)] = 2
    """Tries after the first; 0 is none."""
    backoff: PositiveDuration = "500ms"
    """Wait before the second try; it doubles each time, less up to a quarter at random."""
    longest: PositiveDuration = "8s"
    """Longest wait."""
    budget: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Tries again that all callers may add, as a part of first tries; 0 is no limit."""


class ClientSpec(Model):
    """The callers: each holds a connection for a while and sends a request now and then."""

    period: PositiveDuration = "10s"
    """Time between two requests on one connection in the busiest minute."""
    lifetime: PositiveDuration = "60s"
    """Mean time until a connection is replaced by a new one, to a random pod."""
    deadline: PositiveDuration = "10s"
    """A caller gives up after this. The service does not know, and does the work all the same."""
    retries: RetrySpec = RetrySpec()
    """What callers do about a request that came to nothing."""


class PodTimings(Model):
    """How long new capacity takes."""

    start: PositiveDuration = "8s"
    """From ordering a pod until it takes traffic; each differs by up to 20 %."""
    worker_start: Duration = "1s"
    """From ordering a worker in a running pod until it serves."""
    in_flight: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Requests that a worker takes at once; it refuses more. 0 is no limit."""


class ServiceModel(Model):
    """A service, its upstream, its callers and its pods."""

    loop: LoopTimeSpec = LoopTimeSpec()
    """Event-loop time of a request."""
    upstream: UpstreamSpec = UpstreamSpec()
    """What a request waits for."""
    clients: ClientSpec = ClientSpec()
    """Who calls."""
    pods: PodTimings = PodTimings()
    """How long new capacity takes."""

    @property
    def demand(self) -> float:
        """c: loop seconds a request."""
        return parse_duration(self.loop.mean)

    @property
    def upstream_sigma(self) -> float:
        """Sigma of the lognormal."""
        ratio = parse_duration(self.upstream.p95) / parse_duration(self.upstream.median)
        return log(ratio) / _P95

    @property
    def upstream_mean(self) -> float:
        """Mean latency of the upstream."""
        steps = [parse_duration(step) for step in self.upstream.quantiles]
        if steps:
            return fsum(a + b for a, b in pairwise(steps)) / 2 / (len(steps) - 1)
        return parse_duration(self.upstream.median) * exp(self.upstream_sigma**2 / 2)

    def draw_loop(self, rng: np.random.Generator, size: int) -> Floats:
        """Loop seconds of some requests."""
        shape = self.loop.variation**-2
        return rng.gamma(shape, self.demand / shape, size)

    def draw_upstream(self, rng: np.random.Generator, size: int) -> Floats:
        """What some requests wait for the upstream."""
        steps = [parse_duration(step) for step in self.upstream.quantiles]
        if steps:
            return np.interp(rng.random(size), np.linspace(0, 1, len(steps)), steps)
        median = parse_duration(self.upstream.median)
        drawn: Floats = median * np.exp(self.upstream_sigma * rng.standard_normal(size))
        return drawn


class Scenario(Model):
    """A file given with ``--service``: the service's model and the AIApi's wishes."""

    service: ServiceModel = ServiceModel()
    """The service."""
    spec: AIApiSpec = AIApiSpec()
    """``spec`` of the AIApi: objective, bounds, scaling, cost."""


class ScenarioError(ValueError):
    """The file is no scenario."""


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from a YAML file."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
        return Scenario.model_validate({} if content is None else content)
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path}: is no YAML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()
        )
        raise ScenarioError(f"{path}: {problems}") from error
