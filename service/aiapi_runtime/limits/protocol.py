"""Which class of connections a worker uses.

httptools is compiled, so a Python may have none that fits. h11 then serves instead, at about twice
the CPU of a request, and refuses requests beyond the limit in `ConcurrencyLimiter` only.
"""

from typing import Any

from aiapi_runtime.limits.bounded import BoundedConnection
from aiapi_runtime.limits.heads import HeadLimits
from aiapi_runtime.limits.middleware import ConcurrencyLimiter
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.requests import ResponseHook

try:
    from aiapi_runtime.limits import connection, early_rejection
except ImportError as error:
    from aiapi_runtime.limits.h11_connection import H11Connection

    MISSING = str(error)
    NAME = "h11"
else:
    MISSING = ""
    NAME = "httptools"


def plain_protocol(limits: HeadLimits | None = None) -> type[BoundedConnection]:
    return _bounded(H11Connection if MISSING else connection.WholeRequestProtocol, limits)


def rejecting_protocol(
    limiter: ConcurrencyLimiter,
    counters: RequestCounters,
    closer: ResponseHook,
    limits: HeadLimits | None = None,
) -> type[BoundedConnection]:
    """Connections that refuse what exceeds the limit as soon as they can."""
    if MISSING:
        return plain_protocol(limits)
    rejection = early_rejection.EarlyRejection(limiter, counters, closer)
    return _bounded(early_rejection.rejecting_protocol(rejection), limits)


def _bounded(kind: Any, limits: HeadLimits | None) -> type[BoundedConnection]:
    return type(kind.__name__, (kind,), {"head_limits": limits or HeadLimits()})
