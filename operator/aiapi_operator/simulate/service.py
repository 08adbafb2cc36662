"""The service that is simulated: what a request costs and waits for, and how its pods behave."""

from math import log
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import yaml
from pydantic import Field, ValidationError, model_validator

from aiapi_operator.api import AIApiSpec
from aiapi_operator.api.duration import parse_duration
from aiapi_operator.api.model import Model
from aiapi_operator.api.scalars import Duration, PositiveDuration

_P95 = NormalDist().inv_cdf(0.95)


class LoopTime(Model):
    """Event-loop time of a request: gamma distributed."""

    mean: PositiveDuration = "20ms"
    """Loop seconds a request costs on average."""
    variation: Annotated[float, Field(ge=0.05, le=5)] = 1.0
    """Standard deviation over mean; 1 is an exponential distribution."""


class Upstream(Model):
    """What a request waits for beside the loop: lognormal."""

    median: PositiveDuration = "250ms"
    """Half of the calls are answered within this."""
    p95: PositiveDuration = "520ms"
    """19 of 20 are."""
    concurrency: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Calls that the upstream works on at once, the rest queue there; 0 is no limit."""

    @model_validator(mode="after")
    def _p95_is_higher(self) -> "Upstream":
        if parse_duration(self.p95) < parse_duration(self.median):
            raise ValueError("upstream.p95 must not be below upstream.median")
        return self


class Clients(Model):
    """The callers: each holds a connection for a while and sends a request now and then."""

    period: PositiveDuration = "10s"
    """Time between two requests on one connection in the busiest minute."""
    lifetime: PositiveDuration = "60s"
    """Mean time until a connection is replaced by a new one, to a random pod."""
    deadline: PositiveDuration = "10s"
    """A caller gives up after this."""


class Pods(Model):
    """How long new capacity takes."""

    start: PositiveDuration = "8s"
    """From ordering a pod until it takes traffic; each differs by up to 20 %."""
    worker_start: Duration = "1s"
    """From ordering a worker in a running pod until it serves."""


class ServiceModel(Model):
    """A service, its upstream, its callers and its pods."""

    loop: LoopTime = LoopTime()
    """Event-loop time of a request."""
    upstream: Upstream = Upstream()
    """What a request waits for."""
    clients: Clients = Clients()
    """Who calls."""
    pods: Pods = Pods()
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


class Scenario(Model):
    """A file given with ``--service``: the service's model and the AIApi's wishes."""

    service: ServiceModel = ServiceModel()
    """The service."""
    spec: AIApiSpec = AIApiSpec()
    """``spec`` of the AIApi: objective, bounds, scaling, cost."""


class ScenarioError(ValueError):
    """The file is no scenario."""


def read(path: Path) -> Scenario:
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
