"""The ASGI stack of a worker: the layers between Uvicorn's protocol and the user's app."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from aiapi_runtime.limits.heads import HeadLimits
from aiapi_runtime.limits.middleware import ConcurrencyLimiter
from aiapi_runtime.limits.protocol import plain_protocol, rejecting_protocol
from aiapi_runtime.runtime.connection_close import ConnectionCloser
from aiapi_runtime.runtime.lifespan import LifespanRecorder
from aiapi_runtime.runtime.plain_addresses import with_plain_addresses
from aiapi_runtime.runtime.settings import RuntimeSettings
from aiapi_runtime.telemetry import tracing
from aiapi_runtime.telemetry.clock import LoopClock
from aiapi_runtime.telemetry.counters import RequestCounters
from aiapi_runtime.telemetry.idleness import IgnoredPaths
from aiapi_runtime.telemetry.requests import App, count_requests


@dataclass(frozen=True)
class AppStack:
    """What Uvicorn serves, and the class of its connections."""

    app: App
    protocol: type[asyncio.Protocol]


def build(  # noqa: PLR0913 - the parts of the stack
    app: Any,
    settings: RuntimeSettings,
    *,
    counters: RequestCounters,
    clock: LoopClock,
    closer: ConnectionCloser,
    recorder: LifespanRecorder,
    traced: bool,
) -> AppStack:
    """The layers, from the outside in. A request passes only those it needs."""
    adapted = adapt(app)
    limiter = (
        ConcurrencyLimiter(adapted, settings.limit, clock) if settings.limit != "off" else None
    )

    # 1. Early rejection: answers what exceeds --limit before a task is made for it. With traces on
    #    a refusal needs a span, so it is left to layer 5.
    heads = HeadLimits(settings.max_head, settings.max_headers, settings.head_timeout)
    protocol = plain_protocol(heads)
    if limiter is not None and not traced:
        protocol = rejecting_protocol(limiter, counters, closer, heads)

    # 2. Counting: outcome and times of each request; ends connections while the worker drains.
    paths = IgnoredPaths.parse(settings.idle_ignore_paths, settings.root_path)
    counted: Callable[..., App] = partial(
        count_requests, counters=counters, hook=closer, ignored_paths=paths
    )

    # 3. Proxy headers: the client as a trusted proxy reports it; only for requests that have them.
    #    Uvicorn types an app by the message; ours is any ASGI app.
    proxied: Any = partial(ProxyHeadersMiddleware, trusted_hosts=settings.forwarded_allow_ips)

    # 4. Tracing: one server span per request.
    trace: Callable[[App], App] = tracing.trace_requests if traced else _unchanged

    # 5. Limit: queues or refuses with 503 what exceeds --limit.
    limited: App = limiter or adapted

    # 6. The app. WebSockets and the lifespan pass only 2 and 3; the recorder keeps why it failed.
    other = recorder.record(adapted)

    http = trace(limited)
    stack = counted(http, forwarded=proxied(http), other=with_plain_addresses(proxied(other)))
    return AppStack(stack, protocol)


def _unchanged(app: App) -> App:
    return app


def adapt(app: Any) -> App:
    """The app as Uvicorn would serve it: a factory is called, ASGI 2 becomes ASGI 3."""
    config = uvicorn.Config(
        app, http=plain_protocol(), ws="none", log_config=None, proxy_headers=False
    )
    config.load()
    adapted: Any = config.loaded_app
    return adapted  # type: ignore[no-any-return]
