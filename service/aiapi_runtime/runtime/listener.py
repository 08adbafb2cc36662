"""The listening sockets of a pod, on IPv6 and IPv4 alike."""

import socket

ANY = "::"
"""All addresses of the machine."""
_ANY_IPV4 = "0.0.0.0"  # noqa: S104 - a pod serves its network


def bind(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket. It listens right away, so that a port in use is an error at the start.

    `::` listens on IPv4 too, and only there where the kernel has no IPv6.
    """
    if host == ANY and not socket.has_dualstack_ipv6():
        host = _ANY_IPV4
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm only where the protocol is stated.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == ANY:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def host_port(host: str, port: int) -> str:
    """As in a URL: IPv6 addresses go in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(sock: socket.socket, scheme: str = "http") -> str:
    """The URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"{scheme}://{host_port(host, port)}"
