"""Types for asyncpg, which has no type hints."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Row = Mapping[str, Any]


class DatabaseConnection(Protocol):
    """The part of asyncpg's Connection that is used here."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str: ...  # noqa: ASYNC109 - asyncpg's own
    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> list[Row]: ...  # noqa: ASYNC109 - see above
    async def fetchrow(self, query: str, *args: Any) -> Row | None: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def executemany(self, command: str, args: Sequence[Sequence[Any]]) -> None: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...
