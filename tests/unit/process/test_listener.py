"""The operator listens on IPv6 and IPv4, and says why it cannot."""

import errno
import socket

import aiohttp
import pytest

from aiapi_operator.process.health import HealthServer
from aiapi_operator.process.listener import ListenError, bind, host_port
from aiapi_operator.process.settings import Settings


async def no_metrics() -> bytes:
    return b""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_by_default_probes_reach_the_operator_on_both(host: str) -> None:
    health = HealthServer(overdue=list, waiting_for=str, metrics=no_metrics)
    async with (
        health.serving(Settings().host, 0) as port,
        aiohttp.ClientSession() as client,
        client.get(f"http://{host_port(host, port)}/readyz") as answer,
    ):
        assert (answer.status, await answer.text()) == (200, "ok\n")


def test_a_kernel_without_ipv6_serves_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    make = socket.socket

    def without_ipv6(family: int = socket.AF_INET, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, *rest)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    with bind("::", 0, "--port") as sock:
        assert sock.getsockname()[0] == "0.0.0.0"


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with bind("::1", 0, "--port") as first:
        port = first.getsockname()[1]
        health = HealthServer(overdue=list, waiting_for=str, metrics=no_metrics)
        with pytest.raises(ListenError) as found:
            await health.serving("::1", port).__aenter__()
    assert str(found.value) == (
        f"cannot listen on [::1]:{port}: Address already in use;"
        " choose another address or port with --port"
    )


def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on no\.such\.host\.invalid:1: "):
        bind("no.such.host.invalid", 1, "--port")


def test_ipv6_addresses_go_in_brackets() -> None:
    assert host_port("fd00::1", 80) == "[fd00::1]:80"
    assert host_port("10.0.0.1", 80) == "10.0.0.1:80"
