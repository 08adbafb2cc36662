"""Which class of connections a worker uses.

httptools is compiled, so a Python may have none that fits. h11 then serves instead, at about twice
the CPU of a request, and refuses requests beyond the limit in `ConcurrencyLimiter` only.
"""

import asyncio

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


def plain_protocol() -> type[asyncio.Protocol]:
    return H11Connection if MISSING else connection.WholeRequestProtocol


def rejecting_protocol(
    limiter: ConcurrencyLimiter, counters: RequestCounters, closer: ResponseHook
) -> type[asyncio.Protocol]:
    """Connections that refuse what exceeds the limit as soon as they can."""
    if MISSING:
        return H11Connection
    return early_rejection.rejecting_protocol(
        early_rejection.EarlyRejection(limiter, counters, closer)
    )
