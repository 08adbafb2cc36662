"""Listening on IPv6 and IPv4, and only on IPv4 where the kernel has no IPv6."""

import asyncio
import errno
import socket

import pytest

from aiapi_runtime.limits.addresses import plain_address
from aiapi_runtime.runtime import listener
from aiapi_runtime.runtime.settings import RuntimeSettings


def reached(sock: socket.socket, host: str) -> bool:
    try:
        socket.create_connection((host, sock.getsockname()[1]), timeout=2).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_by_default_a_pod_is_reached_on_both(host: str) -> None:
    with listener.bind(RuntimeSettings(app="app:app").host, 0, 16) as sock:
        assert reached(sock, host)


@pytest.mark.parametrize(
    ("host", "missed"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1"), ("0.0.0.0", "::1")]
)
def test_a_given_address_is_the_only_one(host: str, missed: str) -> None:
    with listener.bind(host, 0, 16) as sock:
        assert sock.getsockname()[0] == host
        assert not reached(sock, missed)


def test_a_kernel_without_ipv6_serves_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    make = socket.socket

    def without_ipv6(family: int = socket.AF_INET, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, *rest)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    with listener.bind("::", 0, 16) as sock:
        monkeypatch.undo()
        assert sock.getsockname()[0] == "0.0.0.0"
        assert reached(sock, "127.0.0.1")


def test_a_port_in_use_is_an_error() -> None:
    with listener.bind("::", 0, 16) as first, pytest.raises(OSError, match="in use"):
        listener.bind("::", first.getsockname()[1], 16)


def test_ipv6_addresses_go_in_brackets() -> None:
    with listener.bind("::1", 0, 16) as sock:
        assert listener.url(sock) == f"http://[::1]:{sock.getsockname()[1]}"
    assert listener.host_port("127.0.0.1", 80) == "127.0.0.1:80"


@pytest.mark.parametrize(
    ("reported", "plain"),
    [
        (("::ffff:10.1.2.3", 5), ("10.1.2.3", 5)),
        (("10.1.2.3", 5), ("10.1.2.3", 5)),
        (("fd00::1", 5), ("fd00::1", 5)),
        (None, None),
    ],
)
def test_ipv4_addresses_are_plain(
    reported: tuple[str, int] | None, plain: tuple[str, int] | None
) -> None:
    assert plain_address(reported) == plain


async def test_responses_are_sent_without_delay() -> None:
    """Else each response on a kept connection waits 40 ms for the acknowledgment of its head."""
    delays: list[int] = []

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        delays.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = listener.bind("127.0.0.1", 0, 8)
    async with await asyncio.start_server(accepted, sock=listening):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        await reader.read()
        writer.close()
    assert delays == [1]
