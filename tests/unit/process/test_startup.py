"""What the operator waits for before it watches."""

import asyncio
from typing import Any

import pytest

from aiapi_operator.cluster.errors import Unavailable
from aiapi_operator.process.startup import Startup


class Api:
    """An API server that gives prepared answers, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    async def send(self, _request: Any) -> Any:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_it_is_ready_once_it_watches() -> None:
    startup = Startup()
    assert startup.waiting_for() == "starting"
    api: Any = Api({"resources": [{"name": "aiapis"}]})
    assert await startup.wait_for_crd(api, asyncio.Event())
    assert startup.waiting_for() == "starting"
    startup.watching.set()
    assert startup.waiting_for() == ""


async def test_it_names_the_missing_crd_and_then_the_next_problem(monkeypatch: Any) -> None:
    monkeypatch.setattr("aiapi_operator.process.startup._RETRY", 0.01)
    startup, stop = Startup(), asyncio.Event()
    seen: list[str] = []

    class Watched(Api):
        async def send(self, request: Any) -> Any:
            seen.append(startup.waiting_for())
            if len(seen) == 3:
                stop.set()
            return await super().send(request)

    api: Any = Watched({"resources": []}, Unavailable("the API server is away"))
    assert await startup.wait_for_crd(api, stop) is False
    assert "kubectl apply --server-side -f crds/" in seen[1]
    assert seen[2] == "the API server is away"


class ScriptedWatches:
    """Watches that list when a test lets them."""

    def __init__(self) -> None:
        self.problem = "cannot list /api/v1/pods: forbidden"
        self.complete = asyncio.Event()

    async def listed(self) -> None:
        await self.complete.wait()

    def waiting_for(self) -> str:
        return self.problem


async def forever() -> None:
    await asyncio.Event().wait()


async def test_it_is_not_ready_while_pods_and_children_are_unknown(monkeypatch: Any) -> None:
    monkeypatch.setattr("aiapi_operator.process.startup._POLL", 0.01)
    startup, stop, watches = Startup(), asyncio.Event(), ScriptedWatches()
    given: Any = watches
    running = asyncio.create_task(forever())
    waiting = asyncio.create_task(startup.wait_for_objects(given, running, stop))
    await asyncio.sleep(0.05)
    assert startup.waiting_for() == "cannot list /api/v1/pods: forbidden"
    assert not waiting.done()
    watches.complete.set()
    assert await waiting is True
    running.cancel()


async def test_a_stop_and_a_failed_watch_end_the_wait(monkeypatch: Any) -> None:
    monkeypatch.setattr("aiapi_operator.process.startup._POLL", 0.01)
    startup, stop = Startup(), asyncio.Event()
    watches: Any = ScriptedWatches()
    stop.set()
    running = asyncio.create_task(forever())
    assert await startup.wait_for_objects(watches, running, stop) is False
    running.cancel()

    async def fail() -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await startup.wait_for_objects(watches, asyncio.create_task(fail()), asyncio.Event())
