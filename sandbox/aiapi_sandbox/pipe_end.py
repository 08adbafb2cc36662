"""The read end of a pipe, for a transport to own.

uvloop closes the descriptor of a pipe itself and then the object that it came from. A descriptor
that a thread opens in between has the same number and would be closed instead.
"""

import asyncio
import io
import os


class PipeEnd(io.RawIOBase):
    """A descriptor that is closed once, by the object or by the event loop."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_owner = not type(asyncio.get_running_loop()).__module__.startswith("uvloop")

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Close the descriptor, unless the event loop does."""
        if not self.closed and self._is_owner:
            os.close(self._descriptor)
        super().close()
