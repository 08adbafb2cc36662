"""Comments in a silent stream, between events only."""

import asyncio

from starlette.types import Message

from aiapi_service.gateway.keep_alive import KeptAliveStream


class Caller:
    """Records what is sent, and tells when it was something."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.received = asyncio.Event()

    async def __call__(self, message: Message) -> None:
        self.bodies.append(message["body"])
        self.received.set()

    async def next(self) -> bytes:
        await asyncio.wait_for(self.received.wait(), 20)
        self.received.clear()
        return self.bodies[-1]


async def test_a_comment_follows_a_silence() -> None:
    caller = Caller()
    async with KeptAliveStream(caller, 0.02) as stream:
        assert await caller.next() == b": keep-alive\n\n"
        await stream.send(b"data: 1\r\n\r\n")
        assert await caller.next() == b"data: 1\r\n\r\n"
        assert await caller.next() == b": keep-alive\n\n"
    sent = len(caller.bodies)
    await asyncio.sleep(0.06)  # Several silences.
    assert len(caller.bodies) == sent, "nothing is sent after the end"


async def test_no_comment_is_sent_within_an_event() -> None:
    caller = Caller()
    async with KeptAliveStream(caller, 0.01) as stream:
        await stream.send(b"data: the first part")
        await asyncio.sleep(0.05)  # Several silences.
        await stream.send(b" and the second\n\n")
        assert b"".join(caller.bodies) == b"data: the first part and the second\n\n"
        caller.received.clear()
        assert await caller.next() == b": keep-alive\n\n"


async def test_zero_disables_comments() -> None:
    caller = Caller()
    async with KeptAliveStream(caller, 0):
        await asyncio.sleep(0.03)
    assert caller.bodies == []
