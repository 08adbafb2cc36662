"""An app with prometheus_client metrics of each kind, and its own /metrics."""

import os

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Summary,
    generate_latest,
    make_asgi_app,
)
from prometheus_client.multiprocess import MultiProcessCollector

CALLS = Counter("shop_calls", "Calls by path.", ["path"])
SECONDS = Histogram("shop_seconds", "Time of a call.", buckets=(0.1, 1.0))
BYTES = Summary("shop_bytes", "Size of a call.")
ALIVE = Gauge("shop_alive", "Workers.", multiprocess_mode="livesum")
PEAK = Gauge("shop_peak", "Highest process ID.", multiprocess_mode="max")
EACH = Gauge("shop_each", "One per process.")
VERSION = Gauge("shop_version", "Set on import.", multiprocess_mode="livemax")
VERSION.set(7)
QUEUE = Gauge("shop_queue", "A function's value.")
QUEUE.set_function(lambda: 5)
POOL = Gauge("shop_pool", "The same with labels.", ["name"], multiprocess_mode="livemax")
POOL.labels("a").set_function(lambda: 5)
Info("shop_build", "The build.").info({"commit": "abc"})
Counter("aiapi_requests", "A name of the runtime.").inc()

_asgi_metrics = make_asgi_app()


async def app(scope, receive, send):
    match scope["path"]:
        case "/asgi":
            await _asgi_metrics(scope, receive, send)
        case "/latest":
            await _answer(send, generate_latest(REGISTRY))
        case "/collector":
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
            await _answer(send, generate_latest(registry))
        case path:
            _count(path)
            await _answer(send, str(os.getpid()).encode())


def _count(path):
    CALLS.labels(path).inc()
    SECONDS.observe(0.5)
    BYTES.observe(100)
    ALIVE.set(1)
    EACH.set(1)
    PEAK.set(os.getpid())


async def _answer(send, body):
    length = str(len(body)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
