"""The console is optional: the operator starts without it."""

import logging
from typing import Any

import pytest

from aiapi_operator.__main__ import _serve_console
from aiapi_operator.console.server import ConsoleServer
from aiapi_operator.process.listener import bind
from aiapi_operator.process.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid"])
async def test_an_address_that_cannot_be_used_is_logged_and_the_operator_goes_on(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pages: Any = None
    with bind("127.0.0.1", 0, "--port") as taken:
        port = taken.getsockname()[1]
        console = ConsoleServer(pages)
        settings = Settings(console=True, console_host=host, console_port=port)
        await _serve_console(settings, console)
        await console.stop()
    assert f"there is no console: cannot listen on {host}:{port}: " in caplog.text
    assert "choose another address or port with --console-port" in caplog.text
    assert "serving the console" not in caplog.text


async def test_its_url_has_an_ipv6_address_in_brackets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pages: Any = None
    console = ConsoleServer(pages)
    await _serve_console(Settings(console=True, console_host="::1", console_port=0), console)
    await console.stop()
    assert "serving the console on http://[::1]:" in caplog.text
    assert "has no login" not in caplog.text
