"""Reads the output of a program and logs it line by line, so that the pod's log has one format."""

import asyncio
import logging
import os
import re

# The start of a line from Postgres or from Python's logging.
_LEVEL = re.compile(r"(DEBUG\d?|INFO|LOG|NOTICE|HINT|DETAIL|WARNING|ERROR|FATAL|PANIC): +")
# Postgres reports the failure of a single connection as fatal.
_LEVELS = {
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.ERROR,
    "PANIC": logging.CRITICAL,
}
_READ_BYTES = 65536
# A program that writes without pause must not take all of the loop; a pipe holds less than this.
_MAX_READS = 8
_MAX_LINE = 8192


class LogPipe:
    """Reads a pipe until all of its writers have closed it."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._logger = logging.getLogger(name)
        # Output that starts without a level is unusual, so it is a warning.
        self._level = logging.WARNING
        self._rest = b""
        self._closed = False
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self.read)

    def read(self) -> None:
        """Log what has been written so far."""
        for _ in range(_MAX_READS):
            if self._closed:
                return
            try:
                data = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._close()
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._log(line)
            while len(self._rest) > _MAX_LINE:
                self._log(self._rest[:_MAX_LINE])
                self._rest = self._rest[_MAX_LINE:]

    def _close(self) -> None:
        self._closed = True
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._log(self._rest)

    def _log(self, line: bytes) -> None:
        text = line[:_READ_BYTES].decode("utf-8", "backslashreplace").rstrip()
        if not text:
            return
        if match := _LEVEL.match(text):
            self._level = _LEVELS.get(match[1], logging.INFO)
            text = text[match.end() :]
        self._logger.log(self._level, "%s", text)
