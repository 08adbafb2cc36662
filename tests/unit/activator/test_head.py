"""What is passed on, and what belongs to one connection."""

import pytest

from aiapi_operator.activator.head import (
    Header,
    RequestHead,
    ResponseHead,
    render_request,
    render_response,
)


def request(*headers: Header, method: bytes = b"GET", target: bytes = b"/a?b=c") -> RequestHead:
    return RequestHead(method, target, b"1.1", [(b"Host", b"shop"), *headers])


def test_a_request_keeps_its_headers_and_gets_the_address_of_the_client() -> None:
    head = request((b"X-Thing", b"1"), (b"Content-Length", b"3"))
    assert render_request(head, "10.0.0.9") == (
        b"GET /a?b=c HTTP/1.1\r\nHost: shop\r\nX-Thing: 1\r\nContent-Length: 3\r\n"
        b"X-Forwarded-For: 10.0.0.9\r\n\r\n"
    )


def test_the_address_is_appended_to_those_of_other_proxies() -> None:
    head = request((b"x-forwarded-for", b"1.1.1.1, 2.2.2.2"), (b"X-Forwarded-For", b"3.3.3.3"))
    rendered = render_request(head, "10.0.0.9")
    assert b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.9\r\n" in rendered
    assert rendered.lower().count(b"x-forwarded-for") == 1


def test_headers_of_one_connection_are_not_passed_on() -> None:
    head = request(
        (b"Connection", b"keep-alive, X-Secret"),
        (b"Keep-Alive", b"timeout=5"),
        (b"X-Secret", b"1"),
        (b"TE", b"trailers"),
        (b"Upgrade", b"h2c"),
    )
    rendered = render_request(head, "10.0.0.9")
    assert rendered == (b"GET /a?b=c HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 10.0.0.9\r\n\r\n")


def test_connection_cannot_remove_the_framing() -> None:
    head = request((b"Connection", b"content-length, host"), (b"Content-Length", b"3"))
    rendered = render_request(head, "10.0.0.9")
    assert b"Host: shop" in rendered
    assert b"Content-Length: 3" in rendered


def test_a_websocket_handshake_is_passed_on() -> None:
    head = request((b"Connection", b"keep-alive, Upgrade"), (b"Upgrade", b"WebSocket"))
    assert head.upgrades
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in render_request(head, "10.0.0.9")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Upgrade", b"websocket")],
        [(b"Connection", b"Upgrade"), (b"Upgrade", b"h2c")],
        [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Content-Length", b"3")],
    ],
)
def test_no_other_upgrade_is_passed_on(headers: list[Header]) -> None:
    head = request(*headers)
    assert not head.upgrades
    assert b"upgrade" not in render_request(head, "10.0.0.9").lower()


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a/b?c=/d", "/a/b"),
        (b"http://shop/healthz?x", "/healthz"),
        (b"http://shop", "/"),
        (b"*", "/"),
    ],
)
def test_the_path_of_a_target(target: bytes, path: str) -> None:
    assert request(target=target).path == path


def test_a_response_asks_the_client_to_reconnect() -> None:
    head = ResponseHead(
        200, b"OK", [(b"Server", b"x"), (b"Connection", b"keep-alive"), (b"Content-Length", b"2")]
    )
    assert render_response(head, chunked=False) == (
        b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    )


def test_a_switch_of_protocols_keeps_its_headers() -> None:
    upgrade = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", b"a"),
    ]
    rendered = render_response(ResponseHead(101, b"S", upgrade), chunked=False)
    assert rendered == (
        b"HTTP/1.1 101 S\r\nSec-WebSocket-Accept: a\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\n\r\n"
    )


def test_an_informational_response_does_not_end_the_connection() -> None:
    rendered = render_response(ResponseHead(100, b"Continue", []), chunked=False)
    assert rendered == b"HTTP/1.1 100 Continue\r\n\r\n"
