"""What the operator waits for before it watches."""

import asyncio
from typing import Any

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
