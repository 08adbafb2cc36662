"""A background task lives as long as its block."""

import asyncio

import pytest

from aiapi_operator.process.background import background


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_it_runs_in_the_block_and_is_cancelled_at_its_end() -> None:
    async with background(_forever(), "forever") as task:
        await asyncio.sleep(0)
        assert (task.get_name(), task.done()) == ("forever", False)
    assert task.cancelled()


async def test_it_is_cancelled_when_the_block_fails() -> None:
    with pytest.raises(ValueError, match="broken"):
        async with background(_forever(), "forever") as task:
            raise ValueError("broken")
    assert task.cancelled()


async def test_its_own_failure_is_raised_at_the_end() -> None:
    async def fail() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        async with background(fail(), "failing"):
            await asyncio.sleep(0)
