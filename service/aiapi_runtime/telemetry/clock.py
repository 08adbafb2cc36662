"""Loop time: how long a worker's event loop was running callbacks instead of waiting.

With uvloop it comes from libuv (`uv_metrics_idle_time`), exact to the nanosecond and free until it
is read. With plain asyncio, a selector that times its own waiting gives the same number.
"""

import asyncio
import ctypes
import selectors
from collections.abc import Callable
from functools import cache
from time import monotonic, perf_counter
from typing import Any, Protocol

_UV_METRICS_IDLE_TIME = 1


@cache
def load_uvloop() -> tuple[Any, str]:
    """The module, or why there is none. The first call decides: later the name may be the app's."""
    try:
        import uvloop  # noqa: PLC0415 - with --loop asyncio it would only take memory
        import uvloop.loop  # noqa: PLC0415 - see above
    except ImportError as error:
        return None, str(error)
    return uvloop, ""


class LoopClock(Protocol):
    """Loop time and wall time since the clock was created, both in seconds."""

    def read(self) -> tuple[float, float]: ...


class UvloopClock:
    """Reads from libuv how long the loop has waited in poll."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        uvloop, _ = load_uvloop()
        library = ctypes.CDLL(uvloop.loop.__file__)
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype = ctypes.c_void_p
        pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        capsule = uvloop.loop.libuv_get_loop_t_ptr(loop)
        self._loop = ctypes.c_void_p(pointer(capsule, None))
        self._idle = library.uv_metrics_idle_time
        self._idle.restype = ctypes.c_uint64
        self._idle.argtypes = [ctypes.c_void_p]
        if library.uv_loop_configure(self._loop, _UV_METRICS_IDLE_TIME) != 0:
            raise RuntimeError("libuv does not measure idle time")
        self._started_at = monotonic()

    def read(self) -> tuple[float, float]:
        idle = self._idle(self._loop) / 1e9
        wall = monotonic() - self._started_at
        return max(0.0, wall - idle), wall


class IdleSelector(selectors.DefaultSelector):
    """The platform's selector, which also sums up the time spent waiting in it."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        started = perf_counter()
        try:
            return super().select(timeout)
        finally:
            self.idle += perf_counter() - started


class SelectorClock:
    """Loop time of a plain asyncio loop that waits in an IdleSelector."""

    def __init__(self, selector: IdleSelector) -> None:
        self._selector = selector
        self._idle_before = selector.idle
        self._started_at = perf_counter()

    def read(self) -> tuple[float, float]:
        wall = perf_counter() - self._started_at
        return max(0.0, wall - (self._selector.idle - self._idle_before)), wall


def new_loop(kind: str) -> tuple[asyncio.AbstractEventLoop, Callable[[], LoopClock]]:
    """A loop of that kind ("auto", "uvloop", "asyncio") and the function that makes its clock."""
    if kind != "asyncio":
        uvloop, missing = load_uvloop()
        if not missing:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop, lambda: UvloopClock(loop)
        if kind == "uvloop":
            raise ImportError(f"--loop uvloop needs uvloop: {missing}")
    selector = IdleSelector()
    return asyncio.SelectorEventLoop(selector), lambda: SelectorClock(selector)


def loop_name(loop: asyncio.AbstractEventLoop) -> str:
    """As in --loop."""
    return "asyncio" if isinstance(loop, asyncio.SelectorEventLoop) else "uvloop"
