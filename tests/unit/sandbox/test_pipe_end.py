"""A descriptor is closed once, whoever closes it."""

import asyncio
import os
from collections.abc import Callable

import pytest
import uvloop

from aiapi_sandbox.pipe_end import PipeEnd

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
Loop = Callable[[], asyncio.AbstractEventLoop]


@LOOPS
def test_a_transport_closes_its_descriptor(loop: Loop) -> None:
    reader, writer = os.pipe()

    async def read() -> None:
        running = asyncio.get_running_loop()
        transport, _ = await running.connect_read_pipe(asyncio.Protocol, PipeEnd(reader))
        transport.close()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(read())
    os.close(writer)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)


def test_a_descriptor_that_uvloop_closed_may_be_opened_again() -> None:
    reader, writer = os.pipe()

    async def close() -> None:
        end = PipeEnd(reader)
        os.close(reader)  # as libuv does
        assert os.dup(writer) == reader
        end.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(close())
    os.fstat(reader)
    os.close(reader)
    os.close(writer)
