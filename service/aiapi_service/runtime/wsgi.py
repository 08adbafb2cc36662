"""A WSGI app, such as Flask's, as an ASGI app: each request has a thread of a pool."""

from typing import Any

from aiapi_service.telemetry.requests import App


def as_asgi(app: Any, threads: int) -> App:
    """What more requests than threads wait for is a thread: the pool's size limits a worker."""
    try:
        from a2wsgi import WSGIMiddleware  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise RuntimeError("--wsgi needs a2wsgi: pip install 'aiapi[wsgi]'") from error
    wrapped: App = WSGIMiddleware(app, workers=threads)  # type: ignore[assignment]  # its own types for the same
    return wrapped
