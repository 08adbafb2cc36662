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


class ActivatorClient:
    """Reads activators, and sends probes through Services."""

    def __init__(self, session: aiohttp.ClientSession, *, deadline: float = DEADLINE) -> None:
        self._session = session
        self._deadline = deadline

    async def idle(
        self, pods: Sequence[ActivatorPod], key: Key
    ) -> Mapping[ActivatorPod, float | None]:
        """Seconds without a request of one AIApi, by activator; None where it is not known."""
        found = await asyncio.gather(*(self._idle(pod, key) for pod in pods))
        return dict(zip(pods, found, strict=True))

    async def _idle(self, pod: ActivatorPod, key: Key) -> float | None:
        name = "/".join(key)
        url = f"http://{bracketed(pod.address)}:{ADMIN_PORT}/state?aiapi={name}"
        try:
            async with asyncio.timeout(self._deadline):
                return idle_seconds(await self._read(url), name)
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


def idle_seconds(body: bytes, name: str) -> float | None:
    """Seconds without a request of one AIApi; None where the activator does not know it.

    Raises ``ValueError`` for anything else.
    """
    try:
        found = json.loads(body)["aiapis"].get(name)
        seconds = None if found is None else float(found["idle_seconds"])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not the state of an activator") from error
    return seconds if seconds is None or 0 <= seconds < inf else None
