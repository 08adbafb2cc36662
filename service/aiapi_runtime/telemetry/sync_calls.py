"""Counts the time a WSGI app waits for upstreams that it calls with requests or httpx.

Like `httpx_calls` for ASGI apps; a thread of the pool has the context of its request.
"""

import sys
from collections.abc import Callable
from typing import Any

from aiapi_runtime.telemetry.requests import upstream
from aiapi_runtime.telemetry.tracing import inject

# requests reads the body in `send`, unless the app streams it.
_SENDERS = (("requests", "Session", "send"), ("httpx", "HTTPTransport", "handle_request"))


def track() -> None:
    """Wrap what the app has imported, each once."""
    for module, owner_name, name in _SENDERS:
        owner = getattr(sys.modules.get(module), owner_name, None)
        send = getattr(owner, name, None)
        if send is not None and not hasattr(send, "__wrapped__"):
            setattr(owner, name, _counted(send))


def _counted(send: Callable[..., Any]) -> Callable[..., Any]:
    def counted(self: Any, request: Any, **options: Any) -> Any:
        if "traceparent" not in request.headers:
            inject(request.headers)
        with upstream():
            return send(self, request, **options)

    counted.__wrapped__ = send  # type: ignore[attr-defined]
    return counted
