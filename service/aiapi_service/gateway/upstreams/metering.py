"""Metrics of the gateway: routes, models, tokens, cost and upstreams."""

from collections.abc import Mapping
from time import monotonic

from aiapi_runtime.telemetry import metrics
from aiapi_service.auth.token_limit import count_tokens
from aiapi_service.gateway.upstreams.model_labels import ModelLabels
from aiapi_service.gateway.upstreams.settings import ModelPrice
from aiapi_service.gateway.upstreams.usage import TokenCounts

LONG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)

ROUTE = metrics.histogram(
    "aiapi_route_duration_seconds",
    "Duration of requests by route, including the body.",
    ["route", "status"],
    bounds=LONG,
)
MODEL = metrics.histogram(
    "aiapi_model_duration_seconds",
    "Duration of model responses, including the body.",
    ["upstream", "model"],
    bounds=LONG,
)
FIRST_BYTE = metrics.histogram(
    "aiapi_model_first_byte_seconds",
    "Time from the call to the first byte of the response.",
    ["upstream", "model"],
    bounds=LONG,
)
TOKENS = metrics.counter("aiapi_tokens", "Tokens by model.", ["upstream", "model", "direction"])
COST = metrics.counter(
    "aiapi_cost", "Cost of the tokens, in the currency of AIAPI_PRICES.", ["model"]
)
CALLS = metrics.counter(
    "aiapi_upstream_calls", "Attempts by upstream and outcome.", ["upstream", "outcome"]
)
STATE = metrics.gauge(
    "aiapi_upstream_state",
    "State of the circuit breaker: 0 closed, 1 half open, 2 open; the maximum of all workers.",
    ["upstream"],
    merge="max",
)

_MILLION = 1e6


class ModelMeter:
    """Measures one response of a model."""

    def __init__(self, model: str, prices: Mapping[str, ModelPrice], labels: ModelLabels) -> None:
        self._model = model
        self._prices = prices
        self._labels = labels
        self._began = monotonic()
        self._first = 0.0

    def first_byte(self) -> None:
        """Record the first byte."""
        self._first = self._first or monotonic()

    def done(self, upstream: str, tokens: TokenCounts | None) -> None:
        """Record a success. Failures are not labeled by model: the name may not be a model."""
        now = monotonic()
        label = self._labels.label(upstream, self._model)
        MODEL.labels(upstream, label).observe(now - self._began)
        FIRST_BYTE.labels(upstream, label).observe((self._first or now) - self._began)
        if tokens is None:
            return
        count_tokens(tokens.prompt + tokens.completion)
        TOKENS.labels(upstream, label, "in").inc(tokens.prompt)
        TOKENS.labels(upstream, label, "out").inc(tokens.completion)
        price = self._prices.get(self._model)
        if price is not None:
            COST.labels(self._model).inc(cost(tokens, price))


def cost(tokens: TokenCounts, price: ModelPrice) -> float:
    """The cost of the tokens."""
    return (tokens.prompt * price.input + tokens.completion * price.output) / _MILLION
