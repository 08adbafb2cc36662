"""Messages between the pod's processes: one JSON object per packet, with open files beside it.

A SOCK_SEQPACKET pair keeps packets whole and reports the end of the other side as an empty packet.
The supervisor never waits on it: a full buffer makes `send` return False, which its caller handles.
"""

import contextlib
import json
import socket
from collections.abc import Sequence
from typing import Any

FILES_PER_MESSAGE = 100
# Leaves room for JSON escapes in a packet.
TEXT_LIMIT = 8000
_PACKET = 65536


class ClosedError(Exception):
    """The other side has closed the channel."""


class Channel:
    """One end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    @classmethod
    def pair(cls) -> "tuple[Channel, Channel]":
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(left), cls(right)

    @classmethod
    def from_fd(cls, fd: int) -> "Channel":
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, message: dict[str, Any], files: Sequence[int] = ()) -> bool:
        """False when the buffer is full or the other side has closed."""
        try:
            text = json.dumps(message, ensure_ascii=False)
            socket.send_fds(self.sock, [text.encode(errors="replace")], files)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next message; None when there is none yet (non-blocking ends only)."""
        try:
            data, files = self._receive_packet()
        except BlockingIOError:
            return None
        except ConnectionError as error:
            raise ClosedError from error
        if not data:
            raise ClosedError
        message: dict[str, Any] = json.loads(data)
        return message, files

    def _receive_packet(self) -> tuple[bytes, list[int]]:
        try:
            data, files, _, _ = socket.recv_fds(self.sock, _PACKET, FILES_PER_MESSAGE)
        except ConnectionResetError:
            # The other side has closed with unread messages. Linux reports that first, and once;
            # what the other side has sent follows, perhaps with the connections of clients.
            data, files, _, _ = socket.recv_fds(self.sock, _PACKET, FILES_PER_MESSAGE)
        return data, list(files)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()
