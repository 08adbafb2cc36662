"""The Lease and the probes have a loop of their own: a blocked main loop delays neither.

The main loop is blocked for exactly as long as another thread needs: a request without ``await``.
"""

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aiapi_operator.process import health as health_module
from aiapi_operator.process import loop_thread as module
from aiapi_operator.process.health import HealthServer
from aiapi_operator.process.heartbeat import Heartbeat
from aiapi_operator.process.loop_thread import loop_thread, run_on


@asynccontextmanager
async def resource(seen: list[str]) -> AsyncIterator[str]:
    seen.append(f"entered in {threading.current_thread().name}")
    yield "value"
    seen.append(f"left in {threading.current_thread().name}")


async def test_a_resource_lives_in_the_thread() -> None:
    seen: list[str] = []
    async with loop_thread("side") as thread, thread.hosting(resource(seen)) as value:
        assert value == "value"
    assert seen == ["entered in side", "left in side"]
    assert "side" not in [each.name for each in threading.enumerate()]


async def test_a_failure_to_enter_reaches_the_caller() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise OSError("no")
        yield

    async with loop_thread("side") as thread:
        with pytest.raises(OSError, match="no"):
            async with thread.hosting(broken()):
                pass


async def test_a_resource_that_does_not_stop_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def stubborn() -> AsyncIterator[None]:
        yield
        await asyncio.Event().wait()

    monkeypatch.setattr(module, "_LEAVE_WITHIN", 0.05)
    async with asyncio.timeout(2), loop_thread("side") as thread, thread.hosting(stubborn()):
        pass
    assert "a part of the thread 'side' did not stop in time" in caplog.text


async def test_a_thread_that_does_not_end_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()

    async def block() -> None:
        release.wait(5)

    monkeypatch.setattr(module, "_END_WITHIN", 0.05)
    async with asyncio.timeout(2), loop_thread("side") as thread:
        blocked = asyncio.create_task(run_on(thread._loop, block()))
        await asyncio.sleep(0)
    release.set()
    await blocked
    assert "the thread 'side' did not end in time" in caplog.text


def get(url: str) -> tuple[int, str]:
    """Blocks the calling thread, and its loop."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a local server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@asynccontextmanager
async def probed(heartbeat: Heartbeat) -> AsyncIterator[str]:
    """The health server on a thread, with metrics from this loop."""
    loop = asyncio.get_running_loop()

    async def metrics() -> bytes:
        return threading.current_thread().name.encode()

    async def from_here() -> bytes:
        return await run_on(loop, metrics())

    health = HealthServer(overdue=heartbeat.overdue, waiting_for=str, metrics=from_here)
    async with (
        loop_thread("side") as thread,
        thread.hosting(health.serving("127.0.0.1", 0)) as port,
    ):
        yield f"http://127.0.0.1:{port}"


async def test_probes_are_answered_while_the_main_loop_is_blocked() -> None:
    async with probed(Heartbeat(overdue_after=60)) as url:
        assert get(f"{url}/healthz") == (200, "ok\n")
        assert get(f"{url}/readyz") == (200, "ok\n")


async def test_healthz_fails_while_the_main_loop_is_blocked_for_too_long() -> None:
    now = 100.0
    heartbeat = Heartbeat(overdue_after=90, clock=lambda: now)
    beating = asyncio.create_task(heartbeat.run())
    async with probed(heartbeat) as url:
        await asyncio.sleep(0)
        # From here on the main loop is blocked: nothing is awaited.
        assert get(f"{url}/healthz") == (200, "ok\n")
        now = 191.0
        text = "overdue: event loop, blocked for 91 s\n"
        assert get(f"{url}/healthz") == (503, text)
        async with asyncio.timeout(5):
            while (await asyncio.to_thread(get, f"{url}/healthz"))[0] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    beating.cancel()


async def test_metrics_come_from_the_main_loop_and_fail_while_it_is_blocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health_module, "_METRICS_DEADLINE", 0.2)
    async with probed(Heartbeat(overdue_after=60)) as url:
        assert await asyncio.to_thread(get, f"{url}/metrics") == (200, "MainThread")
        assert get(f"{url}/metrics") == (503, "the operator's event loop is blocked\n")
        assert await asyncio.to_thread(get, f"{url}/metrics") == (200, "MainThread")


def test_a_blocked_loop_is_named_after_the_bound() -> None:
    now = 100.0
    heartbeat = Heartbeat(overdue_after=90, clock=lambda: now)
    now = 190.0
    assert heartbeat.overdue() == []
    now = 191.0
    assert heartbeat.overdue() == ["event loop, blocked for 91 s"]
