from collections.abc import AsyncIterator

import pytest
from gateway_support.upstream import StandIn, stand_in


@pytest.fixture
async def upstream() -> AsyncIterator[StandIn]:
    async with stand_in() as fake:
        yield fake


@pytest.fixture
async def second() -> AsyncIterator[StandIn]:
    async with stand_in() as fake:
        yield fake
