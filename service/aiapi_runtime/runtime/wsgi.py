"""Serves a WSGI app, such as Flask's, as an ASGI app: each request runs in a thread of a pool."""

import inspect
from typing import Any

from aiapi_runtime.telemetry import threads as pools
from aiapi_runtime.telemetry.requests import App


def as_asgi(app: Any, threads: int) -> App:
    """Requests beyond the number of threads wait, so the pool's size limits a worker."""
    try:
        from aiapi_runtime.runtime.wsgi_response import WsgiMiddleware  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise RuntimeError("--wsgi needs a2wsgi: pip install 'aiapi-runtime[wsgi]'") from error
    middleware = WsgiMiddleware(app, workers=threads)
    middleware.executor = pools.counting_executor("wsgi", threads)
    return middleware


def refuse_wsgi(app: Any, name: str) -> None:
    """A callable of two arguments is a WSGI app, which would fail at each request."""
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        return
    if _takes(signature, 2) and not _takes(signature, 3) and not _takes(signature, 1):
        raise TypeError(f"{name} is a WSGI app: serve it with --wsgi or AIAPI_WSGI=1")


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
