"""Asks the activators what they know, and whether the Service of an AIApi leads to them.

An activator that does not answer is unknown, not idle.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import aiohttp

from aiapi_operator.observe.target import bracketed

DEADLINE = 1.0
ADMIN_PORT = 9090
PROBE_PATH = "/.well-known/aiapi-activator"
PROBE_HEADER, ACTIVATOR_HEADER = "x-aiapi-probe", "x-aiapi-activator"
_LARGEST = 64 * 1024
Key = tuple[str, str]
"""Namespace and name of an AIApi."""


@dataclass(frozen=True, slots=True)
class ActivatorPod:
    """A ready activator."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class ActivatorAnswer:
    """What an activator knows of one AIApi."""

    idle_seconds: float
    """Time without a request."""
    held: int
    """Requests that wait for a pod."""


class ActivatorClient:
    """Reads activators, and sends probes through Services."""

    def __init__(self, session: aiohttp.ClientSession, *, deadline: float = DEADLINE) -> None:
        self._session = session
        self._deadline = deadline

    async def ask(
        self, pods: Sequence[ActivatorPod], key: Key
    ) -> Mapping[ActivatorPod, ActivatorAnswer | None]:
        """What each activator knows of one AIApi; None where it does not answer."""
        found = await asyncio.gather(*(self._ask(pod, key) for pod in pods))
        return dict(zip(pods, found, strict=True))

    async def _ask(self, pod: ActivatorPod, key: Key) -> ActivatorAnswer | None:
        name = "/".join(key)
        url = f"http://{bracketed(pod.address)}:{ADMIN_PORT}/state?aiapi={name}"
        try:
            async with asyncio.timeout(self._deadline):
                return answer_of(await self._read(url), name)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return None

    async def _read(self, url: str) -> bytes:
        async with self._session.get(url, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")
            return await answer.content.read(_LARGEST)

    async def answers(self, host: str, port: int) -> bool:
        """Whether an activator answers a marked probe that is sent to the Service."""
        nonce = secrets.token_hex(8)
        url = f"http://{bracketed(host)}:{port}{PROBE_PATH}"
        headers = {PROBE_HEADER: nonce, "Connection": "close"}
        try:
            async with (
                asyncio.timeout(self._deadline),
                self._session.get(url, headers=headers, allow_redirects=False) as answer,
            ):
                is_activator = ACTIVATOR_HEADER in answer.headers
                return is_activator and answer.headers.get(PROBE_HEADER) == nonce
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False


def answer_of(body: bytes, name: str) -> ActivatorAnswer | None:
    """What the state of an activator says of one AIApi; None where it does not know it.

    Raises ``ValueError`` for anything else.
    """
    try:
        found = json.loads(body)["aiapis"].get(name)
        if found is None:
            return None
        answer = ActivatorAnswer(float(found["idle_seconds"]), int(found["held"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not the state of an activator") from error
    if not 0 <= answer.idle_seconds < inf or answer.held < 0:
        raise ValueError("negative numbers")
    return answer
