"""Lines that a program writes, as records of our log: all of a pod's log has one format."""

import asyncio
import logging
import os
import re

# As Postgres begins its lines, and Python's logging.
_LEVEL = re.compile(r"(DEBUG\d?|INFO|LOG|NOTICE|HINT|DETAIL|WARNING|ERROR|FATAL|PANIC): +")
# What is fatal to Postgres is so to one connection.
_LEVELS = {
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.ERROR,
    "PANIC": logging.CRITICAL,
}
_PIECE_BYTES = 65536
# One that talks without end must not have all of the loop; a pipe holds less than this.
_MOST_PIECES = 8
_LONGEST_LINE = 8192


class LogPipe:
    """Reads a pipe until all who can write to it have gone."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._logger = logging.getLogger(name)
        # What begins without a level is nothing that is said every day.
        self._level = logging.WARNING
        self._rest = b""
        self._closed = False
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self.hear)

    def hear(self) -> None:
        """Log what has been written so far."""
        for _ in range(_MOST_PIECES):
            if self._closed:
                return
            try:
                piece = os.read(self._fd, _PIECE_BYTES)
            except BlockingIOError:
                return
            if not piece:
                self._close()
                return
            *lines, self._rest = (self._rest + piece).split(b"\n")
            for line in lines:
                self._log(line)
            while len(self._rest) > _LONGEST_LINE:
                self._log(self._rest[:_LONGEST_LINE])
                self._rest = self._rest[_LONGEST_LINE:]

    def _close(self) -> None:
        self._closed = True
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._log(self._rest)

    def _log(self, line: bytes) -> None:
        text = line[:_PIECE_BYTES].decode("utf-8", "backslashreplace").rstrip()
        if not text:
            return
        if match := _LEVEL.match(text):
            self._level = _LEVELS.get(match[1], logging.INFO)
            text = text[match.end() :]
        self._logger.log(self._level, "%s", text)
