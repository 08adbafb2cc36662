"""A cheap fake upstream with a fixed response time: `python upstream.py PORT MS`.

A request can set another time with the header `x-delay-ms`.
"""

import asyncio
import contextlib
import json
import sys

import uvloop

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "An answer of ordinary length. " * 8},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 48, "total_tokens": 57},
}
_BODY = json.dumps(CHAT).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class Upstream(asyncio.Protocol):
    delay = 0.3

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            head = head.lower()
            length = int(_field(head, b"content-length: ") or 0)
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            own = _field(head, b"x-delay-ms: ")
            delay = int(own) / 1000 if own else self.delay
            asyncio.get_running_loop().call_later(delay, self.answer)

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER)


def _field(head: bytes, name: bytes) -> bytes:
    return head.partition(name)[2].split(b"\r\n", 1)[0]


async def main() -> None:
    Upstream.delay = float(sys.argv[2]) / 1000
    server = await asyncio.get_running_loop().create_server(
        Upstream, "127.0.0.1", int(sys.argv[1]), backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main())
